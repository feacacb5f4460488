"""
LiteLLM: what our logger adds to the caller's thread of `completion`.

LiteLLM announces an end on threads of its own; what we do there is not the
caller's and not in this row. After each call those threads are waited for: what
they do meanwhile would blur the next call's time by more than any handler takes.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.thread_pool_executor import executor
from modeltrail_litellm import TrailLogger

from benchmarks.reference import Row as StoredRow
from benchmarks.reference import metadata_row
from benchmarks.report import Row, extra_rows
from benchmarks.subjects import Counted, Stores, stores
from benchmarks.timing import measure, rounds_for
from benchmarks.workload import ANSWER, METADATA, MODEL, PROMPT, SYSTEM

MESSAGES = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": PROMPT}]
# LiteLLM copies what is in the first of these into the others at the first call; the lists
# of each subject are kept, since an application registers a logger once and not for each call.
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


class DurableLogger(LimitLogger):
    """
    Appends a start, too.
    """

    def __init__(
        self, put: Callable[[StoredRow], None], begin: Callable[[StoredRow], None]
    ) -> None:
        super().__init__(put)
        self._begin = begin

    def log_pre_api_call(self, model: str, messages: Any, kwargs: Any) -> None:
        """Append what begins."""
        chars = sum(len(each["content"]) for each in messages)
        self._begin(("litellm", kwargs["litellm_call_id"], time.time_ns(), chars, model))


def completion(*, quick: bool) -> list[Row]:
    """
    Measure `completion`, on the caller's thread.
    """
    litellm.suppress_debug_info = True
    with stores() as where:
        loggers = _loggers(where)
        lists = {name: _lists(loggers[name]) for name in loggers}

        def leave(name: str) -> None:
            lists[name] = {each: list(getattr(litellm, each)) for each in CALLBACK_LISTS}

        counted = Counted(where, _run, lambda name: _let_in(lists[name]))
        subjects = [
            each._replace(leave=partial(leave, each.name), rest=_settle)
            for each in counted.subjects()
        ]
        rounds = rounds_for(60, quick=quick)
        costs = measure(subjects, calls=1, rounds=rounds, turns=30)
        counted.check()
    what = "LiteLLM completion, caller's thread, extra"
    return extra_rows("litellm", what, costs, "caller", gate=1.5)


def _loggers(where: Stores) -> Mapping[str, list[CustomLogger]]:
    return {
        "none": [],
        "no-op": [CustomLogger()],
        "limit": [LimitLogger(where.limit.put)],
        "durable": [DurableLogger(where.durable.put, where.durable.begin)],
        **{name: [TrailLogger(each.trail)] for name, each in where.ours.items()},
    }


def _lists(loggers: list[CustomLogger]) -> Mapping[str, list[Any]]:
    """
    Return LiteLLM's lists before its first call.
    """
    return {"callbacks": loggers} | {name: [] for name in CALLBACK_LISTS[1:]}


def _let_in(lists: Mapping[str, list[Any]]) -> None:
    for name, loggers in lists.items():
        setattr(litellm, name, list(loggers))


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
