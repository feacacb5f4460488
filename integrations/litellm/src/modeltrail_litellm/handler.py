"""
LiteLLM's events, forwarded to the trail.
"""

# ruff: noqa: ARG002 - LiteLLM calls its hooks by keyword: the names are its own

import asyncio
import atexit
from contextlib import suppress
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

from modeltrail.integration import HasRecorder, Invocation, error_code, guarded
from modeltrail_litellm import answers, translate
from modeltrail_litellm.translate import FRAMEWORK, Details

# LiteLLM's own bound for what it does at exit.
AT_EXIT_S = 5.0


class TrailLogger(CustomLogger):
    """
    Records every model call in a trail.

    Hand it to `install`, or put it into `litellm.callbacks`. It never raises,
    does no I/O, and may be shared by all threads, tasks and Routers.

    Example:
        litellm.callbacks = [TrailLogger(modeltrail.open("sqlite:///calls.db"))]

    Attributes:
        trail_key: Names the trail in this process. LiteLLM takes two loggers
            whose public attributes are equal for one: so two trails both
            record, and one trail records once.

    Args:
        trail: An open trail, or what `modeltrail.testing.capture_records` gives.
    """

    def __init__(self, trail: HasRecorder) -> None:
        super().__init__()
        self._recorder = trail.recorder
        self.trail_key = f"{id(trail.recorder):x}"
        _drain_before_trails_close()

    @guarded
    def log_pre_api_call(self, model: str, messages: Any, kwargs: Details) -> None:
        """
        Begin a call; LiteLLM tells of it in the caller's own context.
        """
        self._begin(kwargs)

    def log_success_event(
        self, kwargs: Details, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """
        End a synchronous call well.
        """
        self._succeed(kwargs, response_obj)

    async def async_post_call_success_deployment_hook(
        self, request_data: Details, response: Any, call_type: Any
    ) -> None:
        """
        End an asynchronous call well; its event is queued, and lost if the loop ends first.
        """
        # LiteLLM completes the answer before the next step of the loop.
        asyncio.get_running_loop().call_soon(self._succeed_early, request_data, response)

    async def async_log_success_event(
        self, kwargs: Details, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """
        End an asynchronous call well: a stream, or a hit of the cache.
        """
        self._succeed(kwargs, response_obj)

    def log_failure_event(
        self, kwargs: Details, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """
        End a synchronous call that failed.
        """
        self._fail(kwargs)

    async def async_log_failure_event(
        self, kwargs: Details, response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """
        End an asynchronous call that failed.
        """
        self._fail(kwargs)

    @guarded
    def _succeed_early(self, request_data: Details, answer: object) -> None:
        details = request_data["litellm_logging_obj"].model_call_details
        call = self._find(details)
        if call is not None and answers.is_complete(answer):
            call.stop(answers.prompt_response(details, answer))

    @guarded
    def _succeed(self, details: Details, answer: object) -> None:
        if (call := self._find(details) or self._begin_hit(details)) is None:
            return  # it has ended, or it began before anyone listened
        try:
            response = answers.response(details, answer, call.started_at_us)
            (call.cancel if answers.is_disconnect(details) else call.stop)(response)
        finally:
            call.leave_incomplete()  # only if the answer could not be read

    @guarded
    def _fail(self, details: Details) -> None:
        if (call := self._find(details)) is None:
            return
        error = details["exception"]
        try:
            response = answers.failed_response(details, call.started_at_us)
            call.fail(error, response, code=error_code(error))
        finally:
            call.fail(error, code=error_code(error))  # only if the payload could not be read

    def _begin(self, details: Details) -> Invocation | None:
        request = translate.request(details)
        return None if request is None else self._recorder.start(request)

    def _begin_hit(self, details: Details) -> Invocation | None:
        # Of a hit of LiteLLM's cache the end alone is told.
        return self._begin(details) if translate.is_cache_hit(details) else None

    def _find(self, details: Details) -> Invocation | None:
        return self._recorder.find(FRAMEWORK, translate.run_id(details))


def install(trail: HasRecorder) -> TrailLogger:
    """
    Record all calls of LiteLLM from now on; doing it again changes nothing.

    Returns:
        The logger of this trail, to be handed to `uninstall`.
    """
    for known in litellm.callbacks:
        if isinstance(known, TrailLogger) and known._recorder is trail.recorder:  # noqa: SLF001
            return known
    logger = TrailLogger(trail)
    litellm.logging_callback_manager.add_litellm_callback(logger)
    return logger


def uninstall(logger: TrailLogger) -> None:
    """
    Stop recording; calls in flight stay open until `trail.settle()`.
    """
    litellm.logging_callback_manager.remove_callback_from_all_lists(logger)
    # "All" is not all.
    if logger in litellm.input_callback:
        litellm.input_callback.remove(logger)


def _drain_before_trails_close() -> None:
    # What is registered last runs first at exit: after any trail was opened, before it closes.
    atexit.unregister(_drain_at_exit)
    atexit.register(_drain_at_exit)


def _drain_at_exit() -> None:
    """
    Have LiteLLM tell of what it has queued while the trails are still open.

    It does so at exit by itself, but mostly after the trails have closed.
    """
    with suppress(Exception):
        asyncio.run(asyncio.wait_for(GLOBAL_LOGGING_WORKER.flush(), AT_EXIT_S))
