"""
A fault of ours, at each stage that a call passes.
"""

import errno
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from langchain_core.language_models import FakeListChatModel
from mishaps import tally
from modeltrail_langchain import TrailCallbackHandler

import modeltrail
from modeltrail import tell
from modeltrail.errors import StoreUnavailableError
from modeltrail.storage import Store, drain, rows
from modeltrail.storage.spool import frames, segment, spool

pytestmark = pytest.mark.fault

BUG = RuntimeError("a fault of ours")
FULL = OSError(errno.ENOSPC, "no space")
AWAY = StoreUnavailableError("away")
CALLS = 3


class Stage(NamedTuple):
    """
    A stage of a call's way.

    Attributes:
        owner, name: What fails.
        turn: Which of its turns fails.
        error: How.
        problems: What is counted then.
        drops: What is lost then.
        stored: How many calls are stored still, and how they ended.
        long: Whether the prompt is so long that it is digested later.
    """

    owner: object
    name: str
    turn: int
    error: Exception
    problems: dict[str, int]
    drops: dict[str, int] = {}
    stored: dict[str, int] = {"ok": CALLS}
    long: bool = False


STAGES = {
    "teller, start": Stage(
        tell.Teller,
        "start",
        1,
        BUG,
        {"TrailCallbackHandler.on_chat_model_start": 1},
        stored={"ok": 2},
    ),
    "teller, end": Stage(
        tell.Teller,
        "end",
        1,
        BUG,
        {"TrailCallbackHandler.on_llm_end": 1},
        stored={"ok": 2, "incomplete": 1},
    ),
    # A start that cannot be written is said by the end.
    "encode, start": Stage(frames, "encode", 1, BUG, {"start-not-written": 1}),
    "encode, end": Stage(
        frames,
        "encode",
        2,
        BUG,
        {"end-not-written": 1},
        {"not-writable:end": 1},
        {"ok": 2, "incomplete": 1},
    ),
    "seal": Stage(frames.Sealer, "seal", 1, BUG, {"start-not-written": 1}, long=True),
    "append, start": Stage(segment.MappedSegment, "append", 1, FULL, {"start-not-written": 1}),
    "append, end": Stage(
        segment.MappedSegment,
        "append",
        2,
        FULL,
        {"end-not-written": 1},
        {"disk-failed:end": 1},
        {"ok": 2, "incomplete": 1},
    ),
    "describe": Stage(
        drain,
        "columns_of",
        2,
        BUG,
        {"frame-not-readable": 1},
        {"frame-not-readable": 1},
        {"ok": 2, "incomplete": 1},
    ),
    "validate": Stage(
        rows,
        "record_from",
        1,
        BUG,
        {"record-not-valid": 1},
        {"record-not-valid": 1},
        {"ok": 2},
    ),
    "store, a bug": Stage(Store, "append", 1, BUG, {"writer-failed": 1}),
    "store, away": Stage(Store, "append", 1, AWAY, {"store-unavailable": 1}),
}


def failing(function: Callable[..., Any], turn: int, error: Exception) -> Callable[..., Any]:
    """
    Return a function that fails at one of its turns.
    """
    turns = 0

    def fails(*args: Any, **kwargs: Any) -> Any:
        nonlocal turns
        turns += 1
        if turns == turn:
            raise error
        return function(*args, **kwargs)

    return fails


def ask(trail: modeltrail.trail.Trail, *, long: bool = False) -> list[str]:
    """
    Make calls through a framework and return its answers.
    """
    model = FakeListChatModel(responses=["Eight."], callbacks=[TrailCallbackHandler(trail)])
    question = "How many legs has a spider?" * (4000 if long else 1)
    return [str(model.invoke(question).content) for _ in range(CALLS)]


@pytest.mark.parametrize("name", STAGES)
def test_application_is_unharmed(url: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The answers are what they are without a trail, the fault is counted, no other call pays."""
    stage = STAGES[name]
    trail = modeltrail.open(url)
    monkeypatch.setattr(
        stage.owner, stage.name, failing(getattr(stage.owner, stage.name), stage.turn, stage.error)
    )
    assert ask(trail, long=stage.long) == ["Eight."] * CALLS
    assert trail.flush(30)
    assert trail.close()
    health = trail.health()
    assert (health.problems, health.drops) == (stage.problems, stage.drops)
    found = tally(url)
    assert (found.statuses, found.drops) == (stage.stored, stage.drops)
    assert found.calls == sum(stage.stored.values())


def test_processor_and_mirror_that_raise_cost_no_record(url: str) -> None:
    """What the application itself has put into the trail's way may fail, too."""

    class Mirror:
        info = staticmethod(failing(lambda *_, **__: None, 1, BUG))

    processors = [failing(lambda _, __, event_dict: event_dict, 1, BUG)]
    with modeltrail.open(url, processors=processors, mirror=Mirror()) as trail:
        assert ask(trail) == ["Eight."] * CALLS
        assert trail.flush(30)
        assert trail.health().problems == {"processor-failed": 1, "mirror-failed": 1}
    assert tally(url).statuses == {"ok": CALLS}


@pytest.mark.parametrize("duty", ["make_room", "sync", "end"])
def test_keeper_that_fails_goes_on(url: str, monkeypatch: pytest.MonkeyPatch, duty: str) -> None:
    """A duty that raises is counted and tried again."""
    failed = threading.Event()

    with modeltrail.open(url) as trail:
        own = getattr(trail._background.spool, duty)

        def fail_once(*args: Any) -> Any:
            if threading.current_thread() is trail._background.keeper._thread:
                failed.set()
                raise BUG
            return own(*args)

        # The drain stands still for the keeper, so that it has something to sync.
        monkeypatch.setattr(trail._background.keeper, "_drain", Still())
        monkeypatch.setattr(trail._background.spool, duty, fail_once)
        assert ask(trail) == ["Eight."] * CALLS
        assert failed.wait(30)
        assert ask(trail) == ["Eight."] * CALLS
        assert trail.flush(30)
    assert trail.health().problems.keys() == {"keeper-failed"}
    assert tally(url).statuses == {"ok": 2 * CALLS}


class Still:
    """
    A drain that has stored nothing yet.
    """

    needed_from = spool.Position(0, 0)
