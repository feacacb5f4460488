"""
LiteLLM: what our logger adds to the caller's thread of `completion`.

LiteLLM announces an end on threads of its own; what we do there is not the
caller's and not in this row. A block is one call, after which those threads are
waited for: what they do meanwhile would blur the next call's time by more than
any handler takes.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.thread_pool_executor import executor
from modeltrail_litellm import TrailLogger

from benchmarks.reference import Row as StoredRow
from benchmarks.reference import metadata_row
from benchmarks.report import Row, extra_row
from benchmarks.subjects import ANSWER, METADATA, MODEL, PROMPT, SYSTEM, Counted, Stores, stores
from benchmarks.timing import measure, rounds_for

MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
# LiteLLM copies what is in the first of these into the others at the first call.
CALLBACK_LISTS = (
    "callbacks",
    "input_callback",
    "success_callback",
    "failure_callback",
    "_async_input_callback",
    "_async_success_callback",
    "_async_failure_callback",
)
SETTLE_TIMEOUT_S = 30
NANOS = 1e9


class LimitLogger(CustomLogger):
    """
    Puts a row of metadata for each call.
    """

    def __init__(self, put: Callable[[StoredRow], None]) -> None:
        super().__init__()
        self._put = put

    def log_success_event(  # type: ignore[override]
        self, kwargs: Any, response_obj: Any, start_time: datetime, **_: Any
    ) -> None:
        """Put the row; LiteLLM gives the arguments by name."""
        usage, choice = response_obj.usage, response_obj.choices[0]
        row = metadata_row(
            "litellm",
            kwargs["litellm_call_id"],
            int(start_time.timestamp() * NANOS),
            models=(kwargs["model"], response_obj.model),
            tokens=(usage.prompt_tokens, usage.completion_tokens),
            chars=(
                sum(len(each["content"]) for each in kwargs["messages"]),
                len(choice.message.content),
            ),
            metadata=kwargs["litellm_params"]["metadata"],
            finish_reason=choice.finish_reason,
        )
        self._put(row)


def completion(*, quick: bool) -> list[Row]:
    """
    Measure `completion`, on the caller's thread.
    """
    litellm.suppress_debug_info = True
    with stores() as where:
        loggers = _loggers(where)
        counted = Counted(where, _run, lambda name: _let_in(loggers[name]))
        subjects = [each._replace(leave=_settle) for each in counted.subjects()]
        rounds = rounds_for(90, quick=quick)
        costs = measure(subjects, calls=1, rounds=rounds, turns=20)
        counted.check()
    what = "LiteLLM completion, caller's thread, extra"
    return [extra_row("litellm", what, costs, "caller", gate=1.5)]


def _loggers(where: Stores) -> Mapping[str, list[CustomLogger]]:
    return {
        "none": [],
        "no-op": [CustomLogger()],
        "limit": [LimitLogger(where.limit.put)],
        "ours": [TrailLogger(where.trail)],
    }


def _let_in(loggers: list[CustomLogger]) -> None:
    for name in CALLBACK_LISTS:
        setattr(litellm, name, [])
    litellm.callbacks = list(loggers)


def _run(_: str, calls: int) -> None:
    for _number in range(calls):
        litellm.completion(
            model=MODEL, messages=MESSAGES, mock_response=ANSWER, metadata=dict(METADATA)
        )


def _settle() -> None:
    """
    Wait until LiteLLM's threads have told of every end.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while executor._pending_slots._value < executor._max_pending_tasks:
        if time.monotonic() > deadline:
            raise TimeoutError("LiteLLM does not tell of its calls' ends")
        time.sleep(0.001)
