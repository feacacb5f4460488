"""
Many calls at once, in all ways and with all ends: the trail agrees with the provider's own log.
"""

import asyncio
import gc
import logging
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import litellm
import pytest
from drivers.litellm import at
from modeltrail_litellm import TrailLogger, install, uninstall
from modeltrail_litellm.open_calls import OpenCalls

import modeltrail
from modeltrail.record import CallRecord
from modeltrail.testing import LocalProvider
from modeltrail.trail import Trail
from tests.integrations.litellm import mixed
from tests.integrations.litellm.asking import TOKENS
from tests.integrations.litellm.mixed import SILENT, SPARE, Mix, disagreement
from tests.integrations.litellm.proxy import TRAIL_KEY, Proxy, deployment

# --- a mix of all ways --------------------------------------------------------------------------


@pytest.fixture
def logger(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrailLogger]:
    """Record into a real trail, while LiteLLM keeps its words about all that fails to itself."""
    monkeypatch.setattr(litellm, "suppress_debug_info", True)
    for name in ("LiteLLM", "LiteLLM Router", "asyncio"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.CRITICAL + 1)
    # LiteLLM's worker moves from loop to loop; pytest keeps how it dies there, calls included.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    logger = install(trail)
    yield logger
    uninstall(logger)
    # What LiteLLM has left goes here, in silence: a traceback that is written while a module is
    # being compiled, as on collecting a task later, breaks that in Python 3.11.
    gc.collect()


async def ask(mix: Mix, trail: Trail, *, sdk: int, router: int) -> None:
    """Ask SDK and Router at the same time."""
    routed = mixed.router_ways(mixed.router(mix.provider))
    await asyncio.gather(mix.make(mixed.SDK_WAYS, sdk), mix.make(routed, router))
    await mix.settled(trail)


def stored(trail: Trail) -> list[CallRecord]:
    """Return what is in the trail; nothing may be open, lost or have gone wrong inside."""
    assert trail.flush(60)
    gc.collect()  # what was abandoned ends when it is collected
    assert trail.flush(60)
    health = trail.health()
    assert (health.open_calls, health.problems, health.drops) == (0, {}, {})
    return [each.record for each in trail.store.calls(limit=None)]


def test_each_attempt_is_recorded_once(
    trail: Trail, logger: TrailLogger, provider: LocalProvider
) -> None:
    """SDK and Router: one record per request that the provider saw, with its end and its tokens."""
    mix = Mix(provider)
    asyncio.run(ask(mix, trail, sdk=100, router=50))
    assert disagreement(mix, stored(trail)) == ([], [])


@pytest.fixture
def proxy(provider: LocalProvider, tmp_path: Path) -> Iterator[Proxy]:
    """Run a proxy with a fallback and a mirrored model."""
    (tmp_path / "proxy").mkdir()
    config = {
        "model_list": [
            deployment(provider, "chat", "d-chat"),
            deployment(provider, "shaky", "d-shaky"),
            deployment(provider, "mirrored", "d-mirrored", params={"silent_model": "silent"}),
            deployment(provider, "silent", "d-silent", model=f"openai/{SILENT}"),
            deployment(provider, "spare", "d-spare", model=f"openai/{SPARE}"),
        ],
        "router_settings": {
            "num_retries": 0,
            "retry_after": 0,
            "disable_cooldowns": True,
            "fallbacks": [{"shaky": ["spare"]}],
        },
    }
    with Proxy(tmp_path / "proxy", config) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_attempt_is_recorded_once_in_thousands(
    trail: Trail,
    logger: TrailLogger,
    provider: LocalProvider,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three thousand calls, three hundred of them through the proxy, at the same time."""
    mix = Mix(provider)

    async def ask_all() -> None:
        async with proxy.aclient() as client:
            through_proxy = mix.make(mixed.proxy_ways(client), 300)
            await asyncio.gather(ask(mix, trail, sdk=1800, router=900), through_proxy)

    asyncio.run(ask_all())
    proxy.end(signal.SIGTERM)
    monkeypatch.setenv("MODELTRAIL_KEY", TRAIL_KEY)
    # Whoever opens a trail stores what an ended process has left.
    modeltrail.open(f"sqlite:///{proxy.folder}/trail/calls.db").close()
    assert disagreement(mix, [*stored(trail), *proxy.records()]) == ([], [])


# --- what is kept of calls that have ended ------------------------------------------------------

# The writer's own state moves, and has tests of its own.
OTHERS = ("modeltrail.storage.", "modeltrail.testing.")


def kept() -> Counter[str]:
    """Count the objects of ours, by type."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    names = Counter(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    ours = (each for each in names if each.startswith("modeltrail"))
    return Counter({name: names[name] for name in ours if not name.startswith(OTHERS)})


def test_15_calls_of_all_kinds_leave_nothing_behind(
    trail: Trail, logger: TrailLogger, provider: LocalProvider
) -> None:
    """After calls of all kinds none is open, and what is kept does not grow with them."""
    recorder, calls = trail.recorder, 70
    found = []
    for _ in range(3):
        asyncio.run(ask(Mix(provider), trail, sdk=calls - 20, router=20))
        stored(trail)
        found.append(kept().total())
        assert (len(recorder._inner), len(recorder._unwritten)) == (0, 0)
    # LiteLLM holds some calls of its last loop, and our marks with them; whatever we kept
    # ourselves of each call would be there twice as often as there were calls in a round.
    assert len(recorder.shared(OpenCalls)._begun) < calls / 4
    assert found[2] - found[0] < calls


# --- programs that end --------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys, litellm, modeltrail, modeltrail_litellm
url, base_url, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
call = dict(
    model="openai/gpt-4o-mini", api_base=base_url, api_key="x", max_retries=0, timeout=300,
    messages=[dict(role="user", content="hi")],
)
modeltrail_litellm.install(modeltrail.open(url))

async def ask():
    await litellm.acompletion(**call)

async def read():
    options = dict(stream=True, stream_options=dict(include_usage=True))
    async for _ in await litellm.acompletion(**call, **options):
        pass

async def main(ways):
    await asyncio.gather(*(way() for way in ways for _ in range(times)))

asyncio.run(main([globals()[name] for name in sys.argv[4:]]))
"""
MANY = pytest.mark.slow


@pytest.mark.parametrize(
    ("ways", "times"),
    [
        (["ask", "read"], 50),
        pytest.param(["ask"], 2000, marks=MANY),
        pytest.param(["read"], 2000, marks=MANY),
    ],
    ids=["both", "calls", "streams"],
)
@pytest.mark.timeout(600)
def test_46_gathered_calls_survive_the_end_of_the_program(
    provider: LocalProvider, url: str, ways: list[str], times: int
) -> None:
    """Calls and streams that a program gathers before it ends are recorded with their tokens."""
    words = [sys.executable, "-c", PROGRAM, url, provider.base_url, str(times), *ways]
    ran = subprocess.run(words, timeout=500, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    with modeltrail.open(url) as trail:
        assert_all_recorded(trail, provider, times * len(ways))


@pytest.mark.parametrize("times", [50, pytest.param(200, marks=MANY)])
def test_46_trail_that_is_closed_after_the_last_call_has_it(
    provider: LocalProvider, url: str, times: int
) -> None:
    """Of synchronous calls LiteLLM tells late; a trail that is closed hears it out."""
    with modeltrail.open(url) as trail:
        logger = install(trail)
        for _ in range(times):
            litellm.completion(**at(provider))
    assert_all_recorded(trail, provider, times)
    uninstall(logger)


def assert_all_recorded(trail: Trail, provider: LocalProvider, times: int) -> None:
    """Assert that each of so many requests is a record, with its tokens."""
    found = [each.record for each in trail.store.calls(limit=None)]
    ends = Counter((each.status, each.input_tokens, each.output_tokens) for each in found)
    assert ends == {("ok", *TOKENS): times}
    ids = {each.request_id for each in provider.requests}
    assert {each.provider_request_id for each in found} == ids
    assert len(ids) == times
