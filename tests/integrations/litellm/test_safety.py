"""
What LiteLLM's application must never notice: items 39, 40, 41 and 44 of the checklist.
"""

import asyncio
import copy
import gc
import json
import pickle
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litellm
import openai
import pytest
from drivers.litellm import WITH_USAGE, asked, at, wait_for_threads
from litellm.integrations.custom_logger import CustomLogger
from modeltrail_litellm import install, uninstall
from modeltrail_litellm.open_calls import Mark
from packaging.version import Version

import modeltrail
from modeltrail.testing import Answer, CapturedTrail, Fault, LocalProvider, capture_records
from modeltrail.trail import Trail
from tests.integrations.litellm.asking import ask, deployment, only

KEY = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"

# --- secrets ------------------------------------------------------------------------------------


def stored_bytes(folder: Path) -> bytes:
    """Return all that a trail has written."""
    return b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())


@pytest.mark.parametrize("capture", ["metadata", "digest"])
def test_39_failures_store_no_secret(
    provider: LocalProvider, tmp_path: Path, url: str, capture: Any
) -> None:
    """A provider that repeats the key in its error puts it, or a traceback, into no file."""
    faults = [Fault(401, message=f"Incorrect API key provided: {KEY}.")] * 5
    provider.script(*faults, Fault(500, error_after=1, message=f"It was {KEY}."))
    hidden = {
        "api_key": KEY,
        "extra_headers": {"Authorization": f"Bearer {KEY}", "X-Own": "secret-header"},
        "metadata": {"feature": "hidden", "api_key": KEY, "note": "secret-note"},
    }
    arguments = at(provider, **hidden)
    arm = deployment(provider, "chat", "x")
    arm["litellm_params"] |= {"api_key": KEY}
    router = litellm.Router(model_list=[arm], num_retries=0)

    async def stream() -> None:
        async for _ in await litellm.acompletion(**arguments, stream=True):
            pass

    with modeltrail.open(url, capture=capture) as trail:
        logger = install(trail)
        for ask in (
            lambda: litellm.completion(**arguments),
            lambda: list(litellm.completion(**arguments, stream=True)),
            lambda: asyncio.run(litellm.acompletion(**arguments)),
            lambda: asyncio.run(stream()),
            lambda: router.completion(model="chat", messages=asked()),
            lambda: list(litellm.completion(**arguments, stream=True)),
        ):
            with pytest.raises(Exception):  # noqa: B017, PT011 - of several kinds
                ask()
        wait_for_threads()
        waiting = stored_bytes(tmp_path)
        assert trail.flush(20)
        found = [each.record for each in trail.store.calls()]
        uninstall(logger)
    assert [each.status for each in found] == ["error"] * provider.count()
    assert {each.feature for each in found} == {"hidden", None}
    written = waiting + stored_bytes(tmp_path)
    assert b"gpt-4o-mini" in written
    for secret in (KEY, KEY[8:], "secret-", "Bearer", "Traceback", 'File "', "API key"):
        assert secret.encode() not in written, secret


# --- what is the application's ------------------------------------------------------------------


def dumped(answer: Any) -> dict[str, Any]:
    """Return all that an application sees of an answer, but for the moment of it."""
    return answer.model_dump(exclude={"created"}) | {"hidden": sorted(answer.hidden_params)}


@pytest.mark.parametrize("is_async", [False, True])
def test_40_answer_is_the_same_with_and_without_a_trail(
    provider: LocalProvider, *, is_async: bool
) -> None:
    """Nothing of an answer changes by being recorded, also after its end was told."""
    answer = Answer(response_id="r-1", tool_calls=(("look", "{}"),), text="see")
    provider.script(answer, answer)

    def ask() -> Any:
        arguments = at(provider)
        made = litellm.acompletion(**arguments) if is_async else litellm.completion(**arguments)
        answered = asyncio.run(made) if is_async else made
        wait_for_threads()
        return answered

    plain = dumped(ask())
    with capture_records() as trail:
        logger = install(trail)
        assert dumped(ask()) == plain
        uninstall(logger)
    assert only(trail).status == "ok"


class Held(str):
    """A text that can be waited for to be let go."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_40_nothing_of_a_call_is_kept(
    trail: Trail, provider: LocalProvider, *, is_async: bool, is_streamed: bool
) -> None:
    """Once a call is over, neither its answer nor what it was given is held by the logger."""
    logger = install(trail)
    prompt, key = Held("How many legs?"), Held("secret")
    arguments = at(provider, messages=[{"role": "user", "content": prompt}])
    arguments |= {"metadata": {"modeltrail_note": key}}
    if is_streamed:
        arguments |= {"stream": True, **WITH_USAGE}

    async def ask(**given: Any) -> Any:
        answer = await litellm.acompletion(**given)
        if is_streamed:
            async for _ in answer:
                pass
        return answer

    answer = asyncio.run(ask(**arguments)) if is_async else litellm.completion(**arguments)
    _ = list(answer) if is_streamed and not is_async else None
    held = [weakref.ref(each) for each in (answer, prompt, key)]
    del answer, prompt, key, arguments
    assert trail.flush(20)
    wait_for_threads()
    # The last words of LiteLLM's threads are of a later call.
    litellm.completion(**at(provider))
    wait_for_threads()
    gc.collect()
    kept = [each() for each in held]
    assert kept[:2] == [None, None]
    # LiteLLM itself may still hold the metadata of the last call.
    ours = (logger, logger._calls, trail.recorder)
    assert not any(is_reachable(each, ours) for each in kept if each is not None)
    assert logger._calls._begun == {}
    uninstall(logger)


def is_reachable(wanted: object, roots: tuple[object, ...]) -> bool:
    """Tell whether one of ours refers to it, also by way of plain containers."""
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    while waiting:
        each = waiting.pop()
        if each is wanted:
            return True
        if id(each) in seen or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        waiting.extend(gc.get_referents(each))
    return False


@pytest.mark.skipif(
    Version(version("litellm")) < Version("1.107"), reason="LiteLLM 1.106 copies no details"
)
def test_40_mark_is_a_plain_string_to_others(
    captured: CapturedTrail, provider: LocalProvider
) -> None:
    """What the logger leaves in LiteLLM's details can be copied, pickled and written as JSON."""
    made: list[Any] = []

    class Neighbour(CustomLogger):
        def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
            (mark,) = (each for each in kwargs.values() if isinstance(each, Mark))
            made.extend([mark, copy.copy(mark), copy.deepcopy(mark)])
            made.extend([pickle.loads(pickle.dumps(mark)), json.loads(json.dumps(mark))])  # noqa: S301
            made.extend([json.loads(json.dumps({mark: mark}))[mark], f"{mark}"])

    neighbour = Neighbour()
    litellm.callbacks.append(neighbour)
    litellm.completion(**at(provider))
    record = only(captured)
    litellm.logging_callback_manager.remove_callback_from_all_lists(neighbour)
    uninstall(neighbour)  # type: ignore[arg-type]
    assert made == [record.id] * 7
    assert [type(each) for each in made] == [Mark, *[str] * 6]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_41_what_changes_after_the_beginning_is_not_recorded(
    captured: CapturedTrail, provider: LocalProvider, *, is_async: bool, is_streamed: bool
) -> None:
    """An application that changes metadata or messages while it waits changes no record."""
    metadata: dict[str, Any] = {"feature": "early", "modeltrail_teams": ["early"], "user": "u-1"}
    messages = asked("early")

    def change(_: object) -> Answer:
        metadata["feature"] = metadata["user"] = "late"
        metadata["modeltrail_teams"].append("late")
        metadata["modeltrail_more"] = "late"
        messages[0]["content"] = "much too late"
        return Answer()

    provider.answers = change
    arguments = at(provider, messages=messages, metadata=metadata)
    if is_streamed:
        arguments |= {"stream": True, **WITH_USAGE}

    ask(captured, arguments, is_async=is_async, is_streamed=is_streamed)
    record = only(captured)
    assert metadata["feature"] == "late"
    assert (record.feature, record.user_ref) == ("early", captured.recorder.ref("u-1"))
    assert (record.tags, record.input_chars) == ('{"teams":["early"]}', len("early"))


# --- input and output ---------------------------------------------------------------------------

# Of Python's audit events those that tell of input and output; of sleep it tells from 3.13 on.
DOINGS = ("open", "os.", "socket.", "sqlite3.", "subprocess.", "shutil.", "time.sleep", "import")


class Watch:
    """What the code of the logger does that a caller or a loop would wait for."""

    def __init__(self) -> None:
        self.is_on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)  # for the rest of the process; it cannot be taken away

    @contextmanager
    def on(self) -> Iterator[list[str]]:
        """Watch for a while."""
        self.seen = []
        self.is_on = True
        try:
            yield self.seen
        finally:
            self.is_on = False

    def _hear(self, event: str, _: tuple[Any, ...]) -> None:
        if self.is_on and event.startswith(DOINGS):
            frame: Any = sys._getframe(1)
            while frame is not None:
                # Within a hook of ours, whoever does it; the writer has a thread of its own.
                if frame.f_globals.get("__name__", "").startswith("modeltrail_litellm"):
                    self.seen.append(f"{event} in {frame.f_code.co_qualname}")
                    return
                frame = frame.f_back


@pytest.fixture(scope="module")
def watch() -> Watch:
    """Make one watch, since it cannot be taken away."""
    return Watch()


def test_44_hooks_neither_read_nor_write(
    trail: Trail, provider: LocalProvider, watch: Watch
) -> None:
    """What each hook does on the caller's thread or in its loop needs no file and no network."""
    logger = install(trail)
    streamed = {"stream": True, **WITH_USAGE}

    async def calls() -> None:
        await litellm.acompletion(**at(provider))
        async for _ in await litellm.acompletion(**at(provider, **streamed)):
            pass
        with pytest.raises(openai.APIStatusError):
            await litellm.acompletion(**at(provider))
        await asyncio.sleep(0)

    def all_ways() -> None:
        provider.script(Answer(), Answer(), Fault(429), Answer(), Answer(), Fault(429))
        litellm.completion(**at(provider, metadata={"feature": "f"}))
        list(litellm.completion(**at(provider, **streamed)))
        with pytest.raises(openai.APIStatusError):
            litellm.completion(**at(provider))
        asyncio.run(calls())
        wait_for_threads()

    all_ways()  # the first time something may be imported
    assert trail.flush(20)
    with watch.on() as seen:
        all_ways()
    uninstall(logger)
    assert seen == []
    assert trail.health().open_calls == 0
    assert trail.health().problems == {}
    assert provider.count() == 12


def test_44_watch_sees_what_is_done(watch: Watch) -> None:
    """The watch of the test above is no blind one."""
    code = compile("def do(): open('/dev/null').close()", "x", "exec")
    names: dict[str, Any] = {"__name__": "modeltrail_litellm.anything"}
    exec(code, names)  # noqa: S102
    with watch.on() as seen:
        names["do"]()
    assert seen == ["open in do"]
