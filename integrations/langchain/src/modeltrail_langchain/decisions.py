"""
Calls of decision models, which langchain-core 1.8 tells of as chains of type `llm`.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from modeltrail.integration import Request, Response
from modeltrail_langchain import translate
from modeltrail_langchain.messages import as_json
from modeltrail_langchain.places import Place

RUN_TYPE = "llm"


@runtime_checkable
class Decision(Protocol):
    """
    What a decision model answers: `langchain_core.decisions.ClassifierResponse`.
    """

    model: str
    usage: Mapping[str, Any] | None
    request_id: str | None


def request(
    inputs: object,
    event: Mapping[str, Any],
    *,
    run_id: UUID,
    place: Place,
    endpoint: str | None,
) -> Request:
    """
    Translate the start of a decision: its state and questions, as JSON.
    """
    asked = [("user", as_json(inputs))]
    return translate.request("chat", asked, event, run_id=run_id, place=place, endpoint=endpoint)


def response(outputs: object) -> Response:
    """
    Translate a decision.
    """
    if not isinstance(outputs, Decision):
        return Response(text=as_json(outputs))
    return Response(
        response_model=outputs.model,
        provider_request_id=outputs.request_id,
        usage=outputs.usage,
        text=as_json(outputs),
    )
