"""
The core on the caller's thread, without a framework.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from benchmarks.figures import differences
from benchmarks.report import Row, time_row
from benchmarks.timing import Subject, measure, rounds_for
from benchmarks.workload import (
    ANSWER,
    ANSWERED_BY,
    INPUT_TOKENS,
    METADATA,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT,
    SYSTEM,
)
from modeltrail.capture import CapturePolicy
from modeltrail.ids import now_us, uuid7
from modeltrail.integration import Recorder, Request, Response
from modeltrail.keys import KEY_BYTES, Keys
from modeltrail.problems import Problems
from modeltrail.record import CaptureMode
from modeltrail.storage.spool import Spool
from modeltrail.storage.spool.frames import Sealer
from modeltrail.tell import Teller

KEYS = Keys(b"\x02" * KEY_BYTES)
PROMPT_BYTES = 6_000
REQUEST = Request(
    framework="bench",
    framework_version="1",
    operation="chat",
    run_id="9a1f6f0e-54b0-4a5c-8f0a-6d2c8b9f2f11",
    provider="openai",
    request_model=MODEL,
    messages=(("system", SYSTEM), ("user", PROMPT)),
    prompt=SYSTEM,
    tags=METADATA,
)
RESPONSE = Response(
    response_model=ANSWERED_BY,
    response_id="chatcmpl-1",
    finish_reasons=("stop",),
    usage={"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS},
    text=ANSWER,
)


def new_spool(folder: Path) -> Spool:
    """
    Return a spool that nobody empties.
    """
    return Spool(folder, uuid7(now_us()).replace("-", ""), Sealer(KEYS.spool_key), Problems().note)


def invocation(*, quick: bool) -> list[Row]:
    """
    Measure the start and the end of a call, until it is in the spool.

    The request and the response are made before: what a framework's handler
    does to make them is its own.
    """
    with TemporaryDirectory(prefix="modeltrail-bench-") as folder:
        spool = new_spool(Path(folder))
        recorder = Recorder(spool.append, KEYS, policy=CapturePolicy("metadata"))

        def run(calls: int) -> None:
            for _ in range(calls):
                recorder.start(REQUEST).stop(RESPONSE)

        costs = measure([Subject("ours", run)], calls=200, rounds=rounds_for(100, quick=quick))
        spool.release(remove=True)
    what = "Invocation start + stop, metadata mode"
    return [time_row("invocation", what, costs["ours"].caller, gate=40)]


def digest(*, quick: bool) -> list[Row]:
    """
    Measure what completing a request costs more in mode `digest` than in `metadata`.
    """
    modes: tuple[CaptureMode, ...] = ("metadata", "digest")
    subjects = [_telling(mode) for mode in modes]
    costs = measure(subjects, calls=200, rounds=rounds_for(100, quick=quick))
    metadata, digest = (costs[mode].caller for mode in modes)
    what = f"digest of a {PROMPT_BYTES // 1000} kB prompt, caller's thread, over metadata mode"
    return [time_row("digest", what, differences(digest, metadata), gate=15)]


def _telling(mode: CaptureMode) -> Subject:
    teller = Teller(KEYS, CapturePolicy(mode), {}, lambda _: None)
    text = (PROMPT * PROMPT_BYTES)[:PROMPT_BYTES]
    request = replace(REQUEST, messages=(("user", text),), prompt=None)

    def run(calls: int) -> None:
        for _ in range(calls):
            teller.start(request)

    return Subject(mode, run)
