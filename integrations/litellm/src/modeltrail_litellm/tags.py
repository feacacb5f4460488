"""
What a call is for and whom it serves, as LiteLLM's callers say it.

The proxy's callers say it in the body of a request, in its headers or by the
key that they use. Which of them wins is one list: `_sources`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from modeltrail.integration import read_tags, tags_from_metadata
from modeltrail_litellm.tables import IDENTITY_TAGS, LITELLMS_OWN_TAG, TAG_HEADER

Metadata = Mapping[str, Any]
Tags = dict[str, Any]
NOTHING: Metadata = {}


def metadata_of(params: Mapping[str, Any]) -> Metadata:
    """
    Return all metadata of a call; some of the proxy's endpoints keep theirs beside the caller's.
    """
    told, more = _mapping(params.get("metadata")), _mapping(params.get("litellm_metadata"))
    return {**more, **told} if more else told


def call_tags(details: Mapping[str, Any], metadata: Metadata) -> Tags:
    """
    Return what the caller said of this very call.
    """
    params = details["litellm_params"]
    tags: Tags = {}
    for source in _sources(params, metadata):
        tags.update(tags_from_metadata(source))
    users = (metadata.get("user_api_key_end_user_id"), details.get("user"))
    _add_missing(tags, "user", *users)
    _add_missing(tags, "session", _session(params))
    # What the proxy knows of its caller is not the caller's to say.
    known = ((tag, metadata.get(name)) for name, tag in IDENTITY_TAGS)
    return tags | {tag: value for tag, value in known if value is not None}


def default_tags(metadata: Metadata, deployment: Mapping[str, Any]) -> Tags:
    """
    Return the tags of calls that have no other: of the deployment, then LiteLLM's plain ones.
    """
    told = found if isinstance(found := metadata.get("tags"), list) else []
    tags = _request_tags(told)
    if (group := metadata.get("model_group")) is not None:
        tags["model_group"] = group
    if (variant := deployment.get("variant")) is not None:
        tags["variant"] = variant
    # Last, so that what a unit was assigned is not taken for what served it.
    return tags | read_tags(told)


def _sources(params: Mapping[str, Any], metadata: Metadata) -> Iterator[Metadata]:
    """
    Return where tags may stand; each wins over those before it.
    """
    request = _mapping(params.get("proxy_server_request"))
    yield _headers(_mapping(request.get("headers")))
    yield _mapping(metadata.get("spend_logs_metadata"))
    yield _mapping(metadata.get("requester_metadata"))
    yield _mapping(params.get("litellm_metadata"))
    yield _mapping(params.get("metadata"))


def _mapping(told: object) -> Metadata:
    # Whoever calls a proxy may send anything.
    return told if isinstance(told, Mapping) else NOTHING


def _headers(headers: Metadata) -> Metadata:
    names = [name for name in headers if name.startswith(TAG_HEADER)]
    return {name.removeprefix("x-").replace("-", "_"): headers[name] for name in names}


def _session(params: Mapping[str, Any]) -> object:
    # Where a request names none, the proxy calls its trace a session.
    session = params.get("litellm_session_id")
    is_trace = session == params.get("litellm_trace_id")
    return None if is_trace and params.get("proxy_server_request") else session


def _add_missing(tags: Tags, name: str, *values: object) -> None:
    for value in values:
        if value is not None:
            tags.setdefault(name, value)


def _request_tags(told: list[Any]) -> Tags:
    """
    Read tags like `feature:chat`; what names no tag of ours stays together in one.
    """
    tags: Tags = {}
    others: list[str] = []
    for each in told:
        if not isinstance(each, str) or each.startswith(LITELLMS_OWN_TAG):
            continue
        name, _, value = each.partition(":")
        known = tags_from_metadata({name.strip(): value.strip() or None})
        tags.update(known)
        if not known:
            others.append(each)
    return tags | ({"request_tags": ",".join(others)} if others else {})
