"""
LiteLLM's events, forwarded to the trail.
"""

# ruff: noqa: ARG002 - LiteLLM calls its hooks by keyword: the names are its own

import asyncio
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger

from modeltrail.integration import HasRecorder, Invocation, Recorder, error_code, guarded
from modeltrail_litellm import answers, translate
from modeltrail_litellm.delivery import Delivery
from modeltrail_litellm.open_calls import OpenCalls
from modeltrail_litellm.translate import Details


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
        keep_unlogged: Whether of a call that LiteLLM was asked not to log
            (`no-log`) the fact is kept, without content; else nothing is.
    """

    def __init__(self, trail: HasRecorder, *, keep_unlogged: bool = True) -> None:
        super().__init__()
        self._recorder = trail.recorder
        self.trail_key = f"{id(trail.recorder):x}"
        self._keeps_unlogged = keep_unlogged
        self._calls = trail.recorder.shared(OpenCalls)
        trail.recorder.shared(_heard_out)

    @guarded
    def log_pre_api_call(self, model: str, messages: Any, kwargs: Details) -> None:
        """
        Begin a call; LiteLLM tells of it in the caller's own context.
        """
        self._begin(kwargs)

    def logging_hook(self, kwargs: Details, result: Any, call_type: str) -> tuple[Details, Any]:
        """
        End a call well that LiteLLM was asked not to log, of which it tells nobody else.
        """
        self._succeed_unlogged(kwargs, result)
        return kwargs, result

    async def async_logging_hook(
        self, kwargs: Details, result: Any, call_type: str
    ) -> tuple[Details, Any]:
        """
        Do the same for an asynchronous call.
        """
        self._succeed_unlogged(kwargs, result)
        return kwargs, result

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
        if not answers.is_complete(answer):
            return  # the event tells it
        details = request_data["litellm_logging_obj"].model_call_details
        if (call := self._calls.find(details)) is not None:
            call.stop(answers.prompt_response(details, answer))

    @guarded
    def _succeed_unlogged(self, details: Details, answer: object) -> None:
        if translate.is_unlogged(details) and answers.is_told(details):
            self._succeed(details, answer)

    @guarded
    def _succeed(self, details: Details, answer: object) -> None:
        if (call := self._calls.find(details) or self._begin_hit(details)) is None:
            return  # it has ended, or it began before anyone listened
        try:
            response = answers.response(details, answer, call.started_at_us)
            (call.cancel if answers.is_disconnect(details) else call.stop)(response)
        finally:
            call.leave_incomplete()  # only if the answer could not be read

    @guarded
    def _fail(self, details: Details) -> None:
        if (call := self._calls.find(details)) is None:
            return
        error = details["exception"]
        try:
            response = answers.failed_response(details, call.started_at_us)
            call.fail(error, response, code=error_code(error))
        finally:
            call.fail(error, code=error_code(error))  # only if the payload could not be read

    def _begin(self, details: Details) -> Invocation | None:
        if not self._keeps_unlogged and translate.is_unlogged(details):
            return None
        return self._calls.begin(details)

    def _begin_hit(self, details: Details) -> Invocation | None:
        # Of a hit of LiteLLM's cache the end alone is told.
        return self._begin(details) if translate.is_cache_hit(details) else None


def install(trail: HasRecorder, *, keep_unlogged: bool = True) -> TrailLogger:
    """
    Record all calls of LiteLLM from now on; doing it again changes nothing.

    Args:
        trail: An open trail.
        keep_unlogged: As of `TrailLogger`.

    Returns:
        The logger of this trail, to be handed to `uninstall`.
    """
    for known in litellm.callbacks:
        if isinstance(known, TrailLogger) and known._recorder is trail.recorder:  # noqa: SLF001
            return known
    logger = TrailLogger(trail, keep_unlogged=keep_unlogged)
    litellm.logging_callback_manager.add_litellm_callback(logger)
    return logger


def uninstall(logger: TrailLogger) -> None:
    """
    Stop recording; calls in flight are recorded as `incomplete` once LiteLLM lets them go.
    """
    litellm.logging_callback_manager.remove_callback_from_all_lists(logger)
    # "All" is not all, and two threads that ask at once may each have added it.
    while logger in litellm.input_callback:
        litellm.input_callback.remove(logger)


def _heard_out(recorder: Recorder) -> Delivery:
    delivery = Delivery(recorder.shared(OpenCalls))
    recorder.late.append(delivery)
    return delivery
