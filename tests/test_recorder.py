"""
From calls to frames.
"""

import asyncio
import os
import uuid
from datetime import datetime, tzinfo
from threading import Event, Thread
from typing import Any

import pytest
from recording import Frames, make_call, request, response

import modeltrail
from modeltrail.capture import CapturePolicy
from modeltrail.ids import uuid7
from modeltrail.keys import Keys
from modeltrail.record import Frame, FrameKind
from modeltrail.recorder import Recorder
from modeltrail.storage.spool.frames import OPEN_LIMIT_BYTES
from modeltrail.tell import CALLER_LIMIT_BYTES, canonical

KEYS = Keys(bytes(32))


@pytest.fixture
def frames() -> Frames:
    """
    Keep frames, written and read again.
    """
    return Frames()


@pytest.fixture
def recorder(frames: Frames) -> Recorder:
    """
    Record into the list of frames.
    """
    policy = CapturePolicy("digest", {"salary": "metadata"})
    return Recorder(frames.append, KEYS, policy=policy, problems=frames.problems)


def test_call_is_a_start_and_an_end(recorder: Recorder, frames: Frames) -> None:
    """One call gives two frames of one id."""
    call = make_call(recorder)
    assert [(frame.kind, frame.id) for frame in frames] == [
        (FrameKind.START, call.id),
        (FrameKind.END, call.id),
    ]
    assert recorder.open_calls == 0


def test_call_is_awaited_until_its_end_is_written() -> None:
    """Who waits for an end finds it where it belongs, even while another thread writes it."""
    written, writing, go_on = [], Event(), Event()

    def sink(frame: Frame) -> None:
        if frame.kind is FrameKind.END:
            writing.set()
            assert go_on.wait(30)
        written.append(frame.kind)

    recorder = Recorder(sink, KEYS, policy=CapturePolicy("digest"))
    call = recorder.start(request())
    assert recorder.awaits(call)
    thread = Thread(target=call.stop, args=(response(),))
    thread.start()
    assert writing.wait(30)
    assert recorder.open_calls == 0
    assert recorder.awaits(call)
    go_on.set()
    thread.join(30)
    assert not recorder.awaits(call)
    assert written == [FrameKind.START, FrameKind.END]


def test_same_run_announced_twice_is_one_call(recorder: Recorder, frames: Frames) -> None:
    """Two handlers that hear of one run share its invocation."""
    first = recorder.start(request())
    assert recorder.start(request()) is first
    assert len(frames) == 1


def test_run_id_used_again_is_another_call(recorder: Recorder) -> None:
    """A user may reuse a run id for a later call: both are kept."""
    assert make_call(recorder).id != make_call(recorder).id


def test_equal_run_ids_of_two_frameworks_are_two_calls(recorder: Recorder) -> None:
    """A run id is only the framework's own."""
    first = recorder.start(request())
    assert recorder.start(request(framework="other")) is not first
    assert recorder.find("test", "run-1") is first


def test_texts_leave_keyed_digests_and_lengths(recorder: Recorder, frames: Frames) -> None:
    """Digests are of the canonical JSON of the messages, and no text is left."""
    make_call(recorder)
    start, end = frames.fields(0), frames.fields(1)
    said = b'[["system","Be brief."],["user","How many legs has a spider?"]]'
    assert start["input_digest"] == KEYS.digest(said)
    assert start["prompt_digest"] == KEYS.digest(b'[["system","Be brief."]]')
    assert start["input_chars"] == len("Be brief.How many legs has a spider?")
    assert end["output_digest"] == KEYS.digest(b'[["assistant","Eight."]]')
    assert (end["output_chars"], end["output_format"]) == (6, "prose")
    assert "spider" not in repr(frames) and "Eight" not in repr(frames)


def test_metadata_mode_leaves_no_digest(recorder: Recorder, frames: Frames) -> None:
    """Under `metadata` a call leaves lengths and shape, no digest."""
    with modeltrail.tag(feature="salary"):
        make_call(recorder)
    names = frames.fields(0).keys() | frames.fields(1).keys()
    assert not {"input_digest", "prompt_digest", "output_digest"} & names
    assert frames.fields(0)["capture_mode"] == "metadata"
    assert frames.fields(1)["output_chars"] == 6


def test_long_texts_are_left_to_the_writer(recorder: Recorder, frames: Frames) -> None:
    """A text above the limit travels with its frame and is not digested here."""
    messages = (("user", "x" * CALLER_LIMIT_BYTES),)
    make_call(recorder, messages=messages, prompt=None)
    assert frames[0].texts == {"input": canonical(messages)}
    assert "input_digest" not in frames[0].facts


def test_broken_text_is_counted_and_recorded(recorder: Recorder, frames: Frames) -> None:
    """Lone surrogates and NUL cost a problem, not the record."""
    make_call(recorder, messages=(("user", "a\ud800\0b"),))
    assert len(frames.fields(0)["input_digest"]) == 64
    assert recorder.problems.counts() == {"text-not-unicode": 1}


def test_precedence_of_tags(frames: Frames) -> None:
    """The call's own tags win over the context's, which win over the trail's."""
    recorder = Recorder(
        frames.append,
        KEYS,
        policy=CapturePolicy(),
        defaults={"feature": "default", "environment": "prod", "variant": "default"},
    )
    with modeltrail.tag(feature="context", variant="context"):
        make_call(
            recorder,
            tags={"feature": "call"},
            default_tags={"variant": "framework", "segment": "framework"},
        )
    found = frames.fields(0)
    assert found["segment"] == "framework"
    assert (found["feature"], found["variant"], found["environment"]) == ("call", "context", "prod")


def test_people_are_keyed(recorder: Recorder, frames: Frames) -> None:
    """User, unit and session are references, equal for equal people."""
    make_call(recorder, tags={"user": "u-1", "unit": "u-1", "session": 17})
    found = frames.fields(0)
    assert found["user_ref"] == found["unit_ref"] == KEYS.ref("u-1")
    assert found["session_ref"] == KEYS.ref("17")
    assert "u-1" not in repr(frames)


def test_free_tags_are_sorted_json(recorder: Recorder, frames: Frames) -> None:
    """Tags of other names are kept as JSON text."""
    make_call(recorder, tags={"team": "berlin", "desk": 2**64, "list": [1, None, {3: 4}], 5: "6"})
    kept = '{"5":"6","desk":18446744073709551616,"list":[1,null,{"3":4}],"team":"berlin"}'
    assert frames.fields(0)["tags"] == kept


def test_credentials_in_free_tags_are_not_written(recorder: Recorder, frames: Frames) -> None:
    """A tag called like a credential is left out, and what looks like one is replaced."""
    told = "Bearer abcdefghijk" + "x" * 2000
    with modeltrail.tag(note="has sk-0123456789abcdefghij", long=told, tokens="3"):
        make_call(
            recorder, tags={"api_key": "x", "OPENAI_API_KEY": "x", "db_password": "x", 5: "6"}
        )
    kept = '{"5":"6","long":"[secret]","note":"has [secret]","tokens":"3"}'
    assert frames.fields(0)["tags"] == kept
    assert frames[0].told["tags"]["note"] == "has [secret]"
    assert recorder.problems.counts() == {"tag-secret": 3}


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"odd": object()}, "tag-not-json"),
        ({"odd": {1: {2: object()}}}, "tag-not-json"),
        ({"odd": "\ud800"}, "tag-not-json"),
        ({("odd",): 1}, "tag-not-json"),
        ({"feature": object()}, "tag-not-json"),
        ({"feature": ["a"]}, "tag-not-text"),
        ({"user": ["a"]}, "tag-not-text"),
        ({"long": "x" * OPEN_LIMIT_BYTES}, "tags-too-long"),
    ],
)
def test_tags_that_do_not_fit_are_counted(
    recorder: Recorder, frames: Frames, tags: dict[str, Any], problem: str
) -> None:
    """A tag that cannot be kept is left out; the record is still there."""
    make_call(recorder, tags={"variant": "B", **tags})
    found = frames.fields(0)
    assert found["variant"] == "B"
    assert not {"tags", "feature", "user_ref"} & found.keys()
    assert recorder.problems.counts() == {problem: 1}


@pytest.mark.parametrize(
    "odd",
    [
        {"request_model": "x" * (OPEN_LIMIT_BYTES + 1)},
        {"request_model": object()},
    ],
)
def test_fields_that_do_not_fit_are_counted(
    recorder: Recorder, frames: Frames, odd: dict[str, Any]
) -> None:
    """A field that cannot be written is left out; the record and its tags are still there."""
    make_call(recorder, tags={"feature": "support"}, **odd)
    found = frames.fields(0)
    assert (found["framework"], found["run_id"], found["feature"]) == ("test", "run-1", "support")
    assert not {"request_model", "messages", "prompt", "default_tags"} & found.keys()
    assert recorder.problems.counts() == {"field-not-plain": 1}


def test_of_a_report_of_usage_only_known_counts_are_written(
    recorder: Recorder, frames: Frames
) -> None:
    """A provider may report anything: texts and objects go no further, the counts do."""
    odd = {"prompt_tokens": 14, "note": "a secret", "completion_tokens_details": object()}
    details = {"cached_tokens": 4, "why": "another secret", "parts": [object()]}
    call = recorder.start(request())
    call.stop(response(usage={**odd, "prompt_tokens_details": details}))
    found = frames.fields(1)
    assert (found["input_tokens"], found["cache_read_input_tokens"]) == (14, 4)
    assert not {"usage", "text", "tool_calls", "refusal"} & found.keys()
    assert "secret" not in repr(frames)
    assert recorder.problems.counts() == {}


def test_tag_whose_code_raises_is_counted(recorder: Recorder, frames: Frames) -> None:
    """Whatever a tag's own code raises costs the tag alone."""

    class Nowhere(tzinfo):
        def utcoffset(self, _: Any) -> Any:
            raise KeyError

    make_call(recorder, tags={"when": datetime(2026, 1, 1, tzinfo=Nowhere()), "team": "berlin"})
    assert frames.fields(0)["tags"] == '{"team":"berlin"}'
    assert recorder.problems.counts() == {"tag-not-json": 1}


def test_labels_come_before_documents(recorder: Recorder, frames: Frames) -> None:
    """Among too many tags the known ones are kept, as the texts that they are."""
    long = {f"long-{number}": "x" * 9_000 for number in range(4)}
    make_call(recorder, tags={**long, "feature": "support", "variant": 2})
    found = frames.fields(0)
    assert (found["feature"], found["variant"]) == ("support", "2")
    assert recorder.problems.counts() == {"tags-too-long": 3}


def test_text_that_is_more_than_text_is_digested(recorder: Recorder, frames: Frames) -> None:
    """A subclass of str, such as markupsafe's, has the digest of its text."""

    class Markup(str):
        __slots__ = ()

    make_call(recorder, "run-1", messages=[("user", Markup("hello"))], prompt=None)
    make_call(recorder, "run-2", messages=[("user", "hello")], prompt=None)
    assert frames.fields(0)["input_digest"] == frames.fields(2)["input_digest"]


def test_broken_name_is_mended(recorder: Recorder, frames: Frames) -> None:
    """Lone surrogates in a field are replaced."""
    make_call(recorder, request_model="a\ud800b")
    assert frames.fields(0)["request_model"] == "a?b"


def test_lost_start_is_told_by_the_end(frames: Frames) -> None:
    """If the start could not be written, the end frame carries it all."""

    def sink(frame: Frame) -> None:
        if frame.kind is FrameKind.START:
            raise OSError(28, "no space")
        frames.append(frame)

    recorder = Recorder(sink, KEYS, policy=CapturePolicy())
    make_call(recorder, tags={"feature": "support", "user": "u-1"})
    found = frames.fields(0)
    assert (found["framework"], found["status"], found["feature"]) == ("test", "ok", "support")
    assert found["input_chars"] > 0 and found["user_ref"] == KEYS.ref("u-1")
    assert found["input_tokens"] == 14
    assert recorder.problems.counts() == {"start-not-written": 1}


def test_event_is_short_and_holds_no_secret() -> None:
    """An event tells names: no credential, nothing endless, and nothing of what is unknown."""
    frames: list[Frame] = []
    recorder = Recorder(frames.append, KEYS, policy=CapturePolicy())
    told = {"b": "sk-01234567890123456789", "a": "x" * 999, "c": "\0", "d": None}
    recorder.event("request-rejected", told)
    (frame,) = frames
    assert frame.kind is FrameKind.EVENT
    detail = '{"a":"' + "x" * 256 + '","b":"[secret]","c":"\ufffd"}'
    assert frame.facts == {"kind": "request-rejected", "detail": detail}


def test_sink_that_raises_never_reaches_the_host() -> None:
    """With a sink that always fails a call costs counts, nothing else."""

    def sink(_: Frame) -> None:
        raise OSError(28, "no space")

    recorder = Recorder(sink, KEYS, policy=CapturePolicy())
    make_call(recorder).amend("test", cost_nanousd=1)
    assert recorder.emit(FrameKind.OUTCOME, {}) is None
    assert recorder.problems.counts() == {
        "start-not-written": 1,
        "call-not-written": 1,
        "amend-not-written": 1,
        "outcome-not-written": 1,
    }
    assert recorder.problems.last_error == "outcome-not-written: OSError"


def test_settle_ends_what_is_open(recorder: Recorder, frames: Frames) -> None:
    """What never ended becomes incomplete; a late end changes nothing."""
    call = recorder.start(request())
    assert (recorder.settle(), recorder.open_calls) == (1, 0)
    call.stop(response())
    assert [frame.kind for frame in frames] == [FrameKind.START, FrameKind.END]
    assert frames.fields(1)["status"] == "incomplete"


def limited(frames: Frames, **options: Any) -> Recorder:
    """
    Record with limits of its own.
    """
    return Recorder(
        frames.append, KEYS, policy=CapturePolicy(), problems=frames.problems, **options
    )


def test_oldest_of_too_many_open_calls_are_given_up(frames: Frames) -> None:
    """Beyond the limit the oldest calls end as incomplete, and later ends change nothing."""
    recorder = limited(frames, open_limit=3)
    calls = [recorder.start(request(f"run-{number}")) for number in range(5)]
    assert [call.ended for call in calls] == [True, True, False, False, False]
    assert recorder.open_calls == 3
    for call in calls:
        call.stop(response())
    ended = [frames.fields(n) for n, frame in enumerate(frames) if frame.kind is FrameKind.END]
    assert [each["status"] for each in ended] == ["incomplete"] * 2 + ["ok"] * 3
    assert recorder.problems.counts() == {"call-given-up": 2}


def test_some_more_than_need_be_are_given_up(frames: Frames) -> None:
    """A leak pays once in many calls, not at each one."""
    recorder = limited(frames, open_limit=128)
    for number in range(129):
        recorder.start(request(f"run-{number}"))
    assert recorder.open_calls == 126
    assert recorder.problems.counts() == {"call-given-up": 3}


def test_calls_open_for_too_long_are_given_up(frames: Frames) -> None:
    """A call that is older than can be ends as incomplete, the others go on."""
    moments = iter([1_000, 1_999, 2_000, 12_000])
    recorder = limited(frames, clock_us=lambda: next(moments))
    calls = [recorder.start(request(f"run-{number}")) for number in range(3)]
    assert recorder.give_up(10_000) == 2
    assert [call.ended for call in calls] == [True, True, False]
    assert recorder.problems.counts() == {"call-given-up": 2}
    assert (frames.fields(3)["status"], frames[3].id) == ("incomplete", calls[0].id)


def test_nothing_to_give_up_is_no_problem(recorder: Recorder) -> None:
    """Calls of a usual age are left alone."""
    recorder.start(request())
    assert (recorder.give_up(), recorder.open_calls) == (0, 1)
    assert recorder.problems.counts() == {}


def test_handlers_share_what_is_made_once(recorder: Recorder, frames: Frames) -> None:
    """What handlers of one trail share is made at the first request, for that trail alone."""
    made: list[Recorder] = []

    def make(given: Recorder) -> list[Recorder]:
        made.append(given)
        return made.copy()

    first = recorder.shared(make)
    assert recorder.shared(make) is first
    assert recorder.shared(id) == id(recorder)
    other = limited(frames)
    assert other.shared(make) == [recorder, other]
    assert made == [recorder, other]


def test_forgotten_calls_leave_no_word(recorder: Recorder, frames: Frames) -> None:
    """After a fork the calls in flight are the parent's: a child writes nothing of them."""
    recorder.start(request())
    recorder.forget()
    assert (recorder.open_calls, recorder.settle(), len(frames)) == (0, 0, 1)


def test_measurement_of_the_framework_wins(recorder: Recorder, frames: Frames) -> None:
    """A latency that the framework told replaces ours."""
    call = recorder.start(request())
    call.stop(response(latency_us=5, time_to_first_chunk_us=2))
    assert (frames.fields(1)["latency_us"], frames.fields(1)["time_to_first_chunk_us"]) == (5, 2)


def test_end_of_a_forgotten_call_is_the_parents(recorder: Recorder, frames: Frames) -> None:
    """In a forked child the collector may end the parent's calls: nothing is written of that."""
    forgotten = recorder.start(request())
    recorder.forget()
    again = recorder.start(request())
    forgotten.stop(response())
    again.stop(response())
    ends = [frame.id for frame in frames if frame.kind is FrameKind.END]
    assert ends == [again.id]
    assert recorder.open_calls == 0


class LateFramework:
    """
    A framework that tells of a call only when it is heard out, or fails to.
    """

    def __init__(self, recorder: Recorder, run_id: str, error: Exception | None = None) -> None:
        self.call = recorder.start(request(run_id))
        self.error = error
        self.timeouts: list[float] = []

    def hear_out(self, timeout: float) -> None:
        self.timeouts.append(timeout)
        if self.error:
            raise self.error
        self.call.stop(response())

    async def ahear_out(self, timeout: float) -> None:
        self.hear_out(timeout)


@pytest.mark.parametrize("is_async", [False, True])
def test_frameworks_that_tell_late_are_heard_out(
    recorder: Recorder, frames: Frames, *, is_async: bool
) -> None:
    """Each has its time; one that fails is counted and keeps no other from being heard."""
    broken = LateFramework(recorder, "broken", TimeoutError())
    late = LateFramework(recorder, "late")
    recorder.late += [broken, late]
    if is_async:
        asyncio.run(recorder.ahear_out(2.5))
    else:
        recorder.hear_out(2.5)
    assert (broken.timeouts, late.timeouts) == ([2.5], [2.5])
    assert (late.call.ended, broken.call.ended) == (True, False)
    assert frames.problems.counts() == {"not-heard-out": 1}


def test_forked_child_repeats_no_id() -> None:
    """A child's ids differ from its parent's, even those of the same moment and number."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, uuid7(0).encode())
        os._exit(0)
    own = uuid7(0)
    os.waitpid(child, 0)
    assert os.read(reading, 36).decode()[-12:] != own[-12:]
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_ids_are_uuids_of_their_moment() -> None:
    """An id is a UUID of version 7 whose first 48 bits are the milliseconds."""
    moment = 1_700_000_000_123_456
    parsed = uuid.UUID(uuid7(moment))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == moment // 1000
    assert uuid7(moment) < uuid7(moment + 1) < uuid7(moment + 1000)
    assert len({uuid7(moment) for _ in range(1000)}) == 1000
