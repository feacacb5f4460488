"""
LiteLLM's proxy, recorded: what only the proxy tells.

Name the logger in the proxy's `config.yaml`; the trail is the one at `$MODELTRAIL_URL`.

Example:
    litellm_settings:
      callbacks: modeltrail_litellm.proxy.logger
"""

# ruff: noqa: ARG002 - LiteLLM calls its hooks by keyword: the names are its own

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from litellm.constants import LITELLM_LOGGING_NO_UPSTREAM_LLM_CALL
from litellm.litellm_core_utils.litellm_logging import StandardLoggingPayloadSetup

import modeltrail
from modeltrail.integration import Response, error_code, guarded
from modeltrail_litellm.handler import TrailLogger
from modeltrail_litellm.tables import OPERATIONS, REJECTED
from modeltrail_litellm.translate import Details


class ProxyLogger(TrailLogger):
    """
    Records every model call of a proxy, and each request that it rejects.

    All attempts at one request bear one id in the proxy, and LiteLLM tells of
    the first failure among them alone: here each attempt ends as it fails.
    """

    def log_pre_api_call(self, model: str, messages: Any, kwargs: Details) -> None:
        """
        Begin a call, unless the proxy merely says so of a request that it has rejected.
        """
        if LITELLM_LOGGING_NO_UPSTREAM_LLM_CALL not in kwargs:
            super().log_pre_api_call(model, messages, kwargs)

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,
    ) -> None:
        """
        End an attempt that failed.
        """
        self._fail_attempt(request_data, exception)

    async def async_post_call_failure_hook(
        self,
        request_data: Details,
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        """
        End what a failed request has left open, and record a request that was rejected.
        """
        self._fail_request(request_data, original_exception, user_api_key_dict)

    @guarded
    def _fail_attempt(self, request_data: Mapping[str, Any], error: Exception) -> None:
        call = self._calls.find(request_data["litellm_logging_obj"].model_call_details)
        if call is not None:
            told = StandardLoggingPayloadSetup.get_error_information(error)
            response = Response(provider_request_id=told.get("error_provider_request_id"))
            call.fail(error, response, code=error_code(error))

    @guarded
    def _fail_request(self, request_data: Details, error: Exception, key: Any) -> None:
        operation = OPERATIONS.get(_name(request_data.get("call_type")) or "")
        if operation is None:
            return
        known = "litellm_call_id" in request_data
        if known and (call := self._calls.find(request_data)) is not None:
            call.fail(error, code=error_code(error))
        # LiteLLM's own moment, and no word of the client: JSON has no moments.
        elif not isinstance(request_data.get("first_api_call_start_time"), datetime):
            self._recorder.event(REJECTED, _rejection(operation, request_data, error, key))


def _rejection(
    operation: str, request_data: Details, error: Exception, key: Any
) -> dict[str, str | None]:
    told = StandardLoggingPayloadSetup.get_error_information(error)
    return {
        "operation": operation,
        "request_model": _name(request_data.get("model")),
        "run_id": _name(request_data.get("litellm_call_id")),
        "error_type": told["error_class"],
        "error_code": told["error_code"] or None,
        "route": key.request_route,
        "key_alias": key.key_alias,
        "team": key.team_alias or key.team_id,
    }


def _name(told: object) -> str | None:
    # Nobody has looked at the body of a request that is rejected.
    return told if isinstance(told, str) else None


@cache
def _logger() -> ProxyLogger:
    return ProxyLogger(modeltrail.open())


def __getattr__(name: str) -> ProxyLogger:
    # Not at import: only whoever asks for the logger wants a trail to be opened.
    if name == "logger":
        return _logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
