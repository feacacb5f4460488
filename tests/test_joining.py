"""
Calls that two frameworks tell of are one record, and no others are.
"""

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest
from msgspec.structs import asdict
from recording import KEYS, USAGE, Frames, request, response

from modeltrail.capture import CapturePolicy
from modeltrail.invocation import Invocation
from modeltrail.joining import served
from modeltrail.record import FrameKind, Response
from modeltrail.recorder import Recorder
from modeltrail.testing import CapturedTrail, capture_records


@pytest.fixture
def trail() -> Iterator[CapturedTrail]:
    """
    Keep records in memory.
    """
    with capture_records() as captured:
        yield captured


@contextmanager
def outer_call(trail: CapturedTrail, **changes: Any) -> Iterator[Invocation]:
    """
    Begin a call of a framework that another one may make, and end it well.
    """
    call = trail.recorder.start(request("outer", framework="outer", **changes))
    call.enclose()
    yield call
    call.stop(response(response_model="asked"))


def inner_call(trail: CapturedTrail, **changes: Any) -> Invocation:
    """
    Begin a call of the framework that makes it.
    """
    return trail.recorder.start(request("inner", **{"framework": "inner", **changes}))


def found(trail: CapturedTrail) -> list[tuple[str, str, str | None]]:
    """
    Return who told of each record, how it ended and who answered.
    """
    assert trail.problems.counts() == {}
    return [(each.framework, each.status, each.response_model) for each in trail.records]


def test_inner_call_completes_the_outer_one(trail: CapturedTrail) -> None:
    """What only the inner framework knows is added to the outer framework's record."""
    with outer_call(trail) as outer:
        inner = inner_call(trail)
        assert inner.id == outer.id
        inner.stop(response(response_model="served", cost_reported_nanousd=5))
    (record,) = trail.records
    assert (record.framework, record.run_id) == ("outer", "outer")
    assert (record.response_model, record.cost_reported_nanousd) == ("served", 5)
    assert trail.recorder.open_calls == 0
    assert trail.recorder.find("inner", "inner") is None


def test_inner_call_that_ends_last_completes_it_too(trail: CapturedTrail) -> None:
    """The inner framework may tell of the end when the outer one has done so already."""
    with outer_call(trail):
        inner = inner_call(trail)
    assert trail.recorder.find("inner", "inner") is inner
    inner.stop(response(response_model="served"))
    inner.amend("cost", cost_reported_nanousd=7)
    (record,) = trail.records
    assert (record.response_model, record.cost_reported_nanousd) == ("served", 7)


def test_failure_of_the_inner_call_adds_nothing(trail: CapturedTrail) -> None:
    """How the inner call failed is not how the outer one ended: it may have tried again."""
    with outer_call(trail):
        inner_call(trail).fail(ValueError(), Response(response_id="wrong"), code="500")
        inner_call(trail).leave_incomplete(Response(response_id="wrong"))
        inner_call(trail).stop(response(response_model="served"))
    assert found(trail) == [("outer", "ok", "served")]
    assert (trail.records[0].response_id, trail.records[0].error_type) == (None, None)


def test_calls_announced_together_take_nothing_of_each_other(trail: CapturedTrail) -> None:
    """Of calls that began before any was made none takes what an inner call may tell of another."""
    first, second = (
        trail.recorder.start(request(name, framework="outer")) for name in ("first", "second")
    )
    for each in (first, second):
        each.enclose(alone=False)
    for name in ("one", "two"):
        inner = trail.recorder.start(request(name, framework="inner"))
        inner.stop(response(response_model="served", usage={"prompt_tokens": 999}))
        inner.amend("cost", cost_reported_nanousd=5)
    for each in (first, second):
        each.stop(response(response_model="asked"))
    assert found(trail) == [("outer", "ok", "asked")] * 2
    usage = [(each.input_tokens, each.cost_reported_nanousd) for each in trail.records]
    assert usage == [(USAGE["prompt_tokens"], None)] * 2


def test_inner_call_announced_twice_is_one(trail: CapturedTrail) -> None:
    """Two handlers of the inner framework share the call, too."""
    with outer_call(trail):
        inner = inner_call(trail)
        assert inner_call(trail) is inner
        inner.stop(response(response_model="served"))
    assert found(trail) == [("outer", "ok", "served")]


def test_call_of_the_same_framework_is_its_own(trail: CapturedTrail) -> None:
    """A framework tells of each of its calls once: a second one is another call."""
    with outer_call(trail):
        inner_call(trail, framework="outer").stop(response(response_model="other"))
    assert found(trail) == [("outer", "ok", "other"), ("outer", "ok", "asked")]


def test_call_after_the_end_is_its_own(trail: CapturedTrail) -> None:
    """What begins when the outer call has ended is no part of it."""
    with outer_call(trail):
        pass
    inner_call(trail).stop(response(response_model="other"))
    assert found(trail) == [("outer", "ok", "asked"), ("inner", "ok", "other")]


@pytest.mark.parametrize("piece", [Invocation.first_chunk, Invocation.begin_stream])
def test_call_between_pieces_is_its_own(trail: CapturedTrail, piece: Any) -> None:
    """When the answer has begun to arrive the application's own code runs again."""
    with outer_call(trail) as outer:
        piece(outer)
        inner_call(trail).stop(response(response_model="other"))
    assert found(trail) == [("inner", "ok", "other"), ("outer", "ok", "asked")]


def test_call_of_another_trail_is_its_own(trail: CapturedTrail) -> None:
    """A trail takes in no calls that another trail records."""
    with capture_records() as other, outer_call(trail):
        inner_call(other).stop(response(response_model="other"))
    assert found(trail) == [("outer", "ok", "asked")]
    assert found(other) == [("inner", "ok", "other")]


def test_two_trails_take_in_a_call_each(trail: CapturedTrail) -> None:
    """Where two trails record both frameworks, each has one record of one call."""
    with capture_records() as other, outer_call(trail), outer_call(other):
        for each in (trail, other):
            inner_call(each).stop(response(response_model="served"))
    assert found(trail) == found(other) == [("outer", "ok", "served")]


def test_three_frameworks_make_one_record(trail: CapturedTrail) -> None:
    """A call that is part of an inner one is part of the outermost."""
    with outer_call(trail):
        middle = inner_call(trail, framework="middle", streaming=True)
        middle.enclose()
        inner_call(trail).stop(response(response_model="served"))
        middle.stop(Response())
    assert found(trail) == [("outer", "ok", "served")]


def test_context_keeps_no_call_that_has_ended(trail: CapturedTrail) -> None:
    """However many trails come and go in a context, what has ended is not held there."""
    gone = []
    for _ in range(3):
        with capture_records() as other, outer_call(other) as call:
            gone.append(weakref.ref(other))
        del other, call
    with outer_call(trail):
        gc.collect()
        assert [each() for each in gone] == [None] * 3


def test_call_in_a_new_thread_is_its_own(trail: CapturedTrail) -> None:
    """A thread that the application starts meanwhile does its own work."""
    with outer_call(trail):
        thread = threading.Thread(target=lambda: inner_call(trail).stop(response()))
        thread.start()
        thread.join()
    assert sorted(each.framework for each in trail.records) == ["inner", "outer"]


def test_call_in_a_copied_context_is_part_of_it(trail: CapturedTrail) -> None:
    """Frameworks carry the context to the threads in which they make a call."""
    with outer_call(trail):
        context = copy_context()
        thread = threading.Thread(
            target=context.run, args=(lambda: inner_call(trail).stop(response()),)
        )
        thread.start()
        thread.join()
    assert [each.framework for each in trail.records] == ["outer"]


async def test_calls_of_several_tasks_are_not_mixed_up(trail: CapturedTrail) -> None:
    """Of calls made at once each is completed by its own inner call."""

    async def ask(number: int) -> None:
        call = trail.recorder.start(request(f"o{number}", framework="outer"))
        call.enclose()
        await asyncio.sleep(0)
        inner = trail.recorder.start(request(f"i{number}", framework="inner"))
        await asyncio.sleep(0)
        inner.stop(response(response_model=f"model-{number}"))
        call.stop(response())

    await asyncio.gather(*(ask(number) for number in range(10)))
    answered = {each.run_id: each.response_model for each in trail.records}
    assert answered == {f"o{number}": f"model-{number}" for number in range(10)}


def test_forgotten_inner_calls_say_nothing(trail: CapturedTrail) -> None:
    """In a forked child the collector may end them: what they knew is the parent's to tell."""
    with outer_call(trail) as outer:
        inner = inner_call(trail)
        trail.recorder.forget()
        inner.stop(response(response_model="served"))
        assert not outer.ended
    assert trail.records == []


def test_settling_forgets_inner_calls(trail: CapturedTrail) -> None:
    """What a trail has settled is not completed by an end that comes later still."""
    call = trail.recorder.start(request("outer", framework="outer"))
    call.enclose()
    inner_call(trail)
    assert trail.recorder.settle() == 1
    assert trail.recorder.find("inner", "inner") is None
    assert found(trail) == [("outer", "incomplete", None)]


def test_inner_call_is_an_amendment_of_the_outer_one() -> None:
    """The inner call leaves one frame, that bears the outer call's id and says who told it."""
    frames = Frames()
    recorder = Recorder(frames.append, KEYS, policy=CapturePolicy("digest"))
    outer = recorder.start(request(framework="outer"))
    outer.enclose()
    recorder.start(request(framework="inner")).stop(response())
    start, amend = frames
    assert (start.kind, amend.kind) == (FrameKind.START, FrameKind.AMEND)
    assert (amend.id, amend.started_at_us) == (outer.id, outer.started_at_us)
    assert amend.facts == {"why": "inner"}


def test_only_what_the_maker_knows_better_is_taken_over() -> None:
    """Text, times and outcome are those that the application saw."""
    everything = Response(
        response_model="served",
        response_id="r-1",
        provider="p",
        provider_request_id="req-1",
        system_fingerprint="fp",
        service_tier="tier",
        deployment="d",
        usage={**USAGE, "words": "secret"},
        cost_reported_nanousd=5,
        cache_hit=True,
        origin_id="o",
        text="secret",
        tool_calls=(("look", "secret"),),
        refusal=True,
        finish_reasons=("stop",),
        streaming=True,
        attempt=2,
        is_fallback=True,
        latency_us=1,
        time_to_first_chunk_us=1,
    )
    kept = served(everything)
    expected = {
        "response_model": "served",
        "response_id": "r-1",
        "provider": "p",
        "provider_request_id": "req-1",
        "system_fingerprint": "fp",
        "service_tier": "tier",
        "deployment": "d",
        "usage": USAGE,
        "cost_reported_nanousd": 5,
        "cache_hit": True,
        "origin_id": "o",
    }
    assert kept == Response(**expected)
    assert "secret" not in repr(asdict(kept))


@pytest.mark.parametrize(("usage", "source"), [(None, None), ({}, None), (USAGE, "estimated")])
def test_source_of_unknown_usage_is_not_taken_over(usage: Any, source: str | None) -> None:
    """What the maker does not know of tokens does not cast doubt on what the other knows."""
    assert served(Response(usage=usage, usage_source="estimated")).usage_source == source
