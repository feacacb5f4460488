"""
Cohere's protocol: rerank.

The shapes follow the public API reference. It is billed by search units, not by tokens.
"""

from __future__ import annotations

import hashlib

from .provider_types import Answer, Fault, Json, ProviderRequest
from .provider_wire import Routes, WireFormat


def error(fault: Fault, request_id: str) -> Json:
    """
    Build the error body of Cohere's API, which has neither type nor code.
    """
    return {"id": request_id, "message": fault.message}


def rerank(request: ProviderRequest, answer: Answer) -> Json:
    """
    Rank the documents, the best first: equal inputs give equal scores.
    """
    query, documents = request.body.get("query"), request.body.get("documents") or []
    scored = [(_score(query, document), index) for index, document in enumerate(documents)]
    best = sorted(scored, reverse=True)[: request.body.get("top_n")]
    results = [{"index": index, "relevance_score": score} for score, index in best]
    return {"id": answer.response_id, "results": results, "meta": _meta(answer)}


def _score(query: object, document: object) -> float:
    digest = hashlib.sha256(repr((query, document)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def _meta(answer: Answer) -> Json:
    billed = {"billed_units": {"search_units": answer.search_units}} if answer.usage else {}
    return {"api_version": {"version": "2"}} | billed


ROUTES: Routes = {
    ("POST", "/v2/rerank"): WireFormat(rerank, error),
}
