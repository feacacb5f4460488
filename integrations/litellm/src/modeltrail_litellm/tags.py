"""
What a call is for and whom it serves, as LiteLLM's callers say it.

The proxy's callers say it in the body of a request, in its headers or by the
key that they use. Which of them wins is told by `call_tags`.
"""

from collections.abc import Mapping
from typing import Any

from modeltrail.integration import read_tags, tags_from_metadata
from modeltrail_litellm.tables import (
    END_USER,
    IDENTITY_TAGS,
    LITELLMS_OWN_TAG,
    PROXYS_WORDS,
    REQUEST_METADATA,
    TAG_HEADER,
)

Metadata = Mapping[str, Any]
Tags = dict[str, Any]
NOTHING: Metadata = {}
# A plain dict first: whether anything else is a mapping takes longer to find out.
MAPPINGS = (dict, Mapping)


def metadata_of(params: Mapping[str, Any]) -> Metadata:
    """
    Return all metadata of a call; some of the proxy's endpoints keep theirs beside the caller's.
    """
    told, more = params.get("metadata"), params.get("litellm_metadata")
    if not told or not isinstance(told, MAPPINGS):
        told = NOTHING
    return {**more, **told} if more and isinstance(more, MAPPINGS) else told


def call_tags(details: Mapping[str, Any], metadata: Metadata) -> Tags:
    """
    Return what the caller said of this very call.
    """
    params, user = details["litellm_params"], details.get("user")
    request, more = params.get("proxy_server_request"), params.get("litellm_metadata")
    # Most calls come through no proxy: they are not searched for each of its words.
    if is_proxied := request or not PROXYS_WORDS.isdisjoint(metadata):
        tags = _tags_in(*_proxys_sources(request, metadata), more, params.get("metadata"))
        user = end_user if (end_user := metadata.get(END_USER)) is not None else user
    else:
        tags = _tags_in(more, params.get("metadata")) if more else tags_from_metadata(metadata)
    if user is not None:
        tags.setdefault("user", user)
    session = params.get("litellm_session_id")
    # Where a request names none, the proxy calls its trace a session.
    if session is not None and not (request and session == params.get("litellm_trace_id")):
        tags.setdefault("session", session)
    # What the proxy knows of its caller is not the caller's to say.
    return tags | _identity(metadata) if is_proxied else tags


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


def _tags_in(*sources: object) -> Tags:
    """
    Return the tags of several sources; each wins over those before it.
    """
    tags: Tags = {}
    for source in sources:
        # Whoever calls a proxy may send anything.
        if source and isinstance(source, MAPPINGS):
            tags.update(tags_from_metadata(source))
    return tags


def _proxys_sources(request: object, metadata: Metadata) -> tuple[object, ...]:
    """
    Return where tags of a request to the proxy may stand; each wins over those before it.
    """
    headers = _mapping(_mapping(request).get("headers"))
    return _headers(headers), *[metadata.get(name) for name in REQUEST_METADATA]


def _identity(metadata: Metadata) -> Tags:
    known = ((tag, metadata.get(name)) for name, tag in IDENTITY_TAGS)
    return {tag: value for tag, value in known if value is not None}


def _headers(headers: Metadata) -> Metadata:
    names = [name for name in headers if name.startswith(TAG_HEADER)]
    return {name.removeprefix("x-").replace("-", "_"): headers[name] for name in names}


def _mapping(told: object) -> Metadata:
    return told if isinstance(told, MAPPINGS) else NOTHING


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
