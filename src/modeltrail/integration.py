"""
What a framework's handler needs of modeltrail, and nothing else.

A handler maps the framework's events to `Recorder.start`, `Recorder.find` and
the endings of an `Invocation`; its callbacks wear `guarded`, so that nothing
of ours reaches the application.
"""

import functools
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

from modeltrail.capture import allowed_parameters
from modeltrail.experiment.assign import Assignment
from modeltrail.experiment.growthbook_tag import read_tags
from modeltrail.invocation import Invocation
from modeltrail.record import Operation, Request, Response, UsageSource
from modeltrail.recorder import Late, Recorder
from modeltrail.usage.beside import beside

__all__ = [
    "Assignment",
    "HasRecorder",
    "Invocation",
    "Late",
    "Operation",
    "Recorder",
    "Request",
    "Response",
    "UsageSource",
    "allowed_parameters",
    "beside",
    "error_code",
    "guarded",
    "provider_at",
    "read_tags",
    "tags_from_metadata",
]

P = ParamSpec("P")
R = TypeVar("R")

PREFIX = "modeltrail_"
# What applications call these tags anyway, where a framework carries plain metadata.
PLAIN_NAMES = {
    "feature": "feature",
    "experiment": "experiment",
    "variant": "variant",
    "user": "user",
    "user_id": "user",
    "session": "session",
    "session_id": "session",
    "environment": "environment",
}


class HasRecorder(Protocol):
    """
    What a handler takes: a trail, or anything else that has a recorder.
    """

    @property
    def recorder(self) -> Recorder:
        """
        Where handlers start their calls.
        """


class Guarded(Protocol):
    """
    An object whose callbacks may be guarded.
    """

    @property
    def _recorder(self) -> Recorder: ...


H = TypeVar("H", bound=Guarded)


def guarded(callback: Callable[Concatenate[H, P], R]) -> Callable[Concatenate[H, P], R | None]:
    """
    Make a callback of a handler safe for its host: the one boundary.

    What the callback raises is counted in the trail's problems and goes no
    further. The handler keeps its recorder in `_recorder`.
    """

    @functools.wraps(callback)
    def boundary(handler: H, /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return callback(handler, *args, **kwargs)
        except Exception as error:
            handler._recorder.problems.note(callback.__qualname__, error)  # noqa: SLF001
            return None

    return boundary


def tags_from_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """
    Pick the tags out of the metadata that a framework carries for a call.

    Keys that start with `modeltrail_` win over the plain names that
    applications use anyway, and among either `user` wins over `user_id`; a
    prefixed key of another name is a free tag.
    """
    if not metadata:
        return {}
    return {
        tag: value
        for name, tag, counts_none in _tag_names(tuple(metadata))
        if (value := metadata[name]) is not None or counts_none
    }


@lru_cache(maxsize=256)  # an application gives the same keys with each call
def _tag_names(names: tuple[object, ...]) -> tuple[tuple[str, str, bool], ...]:
    """
    Tell which keys of metadata name which tag, and whether None takes it away; the last wins.
    """
    texts = [name for name in names if isinstance(name, str)]
    plain = [(name, PLAIN_NAMES[name], False) for name in texts if name in PLAIN_NAMES]
    bare = {name: name.removeprefix(PREFIX) for name in texts if name.startswith(PREFIX)}
    prefixed = [(name, PLAIN_NAMES.get(tag, tag), True) for name, tag in bare.items()]
    return (
        *sorted(plain, key=lambda found: found[0] == found[1]),
        *sorted(prefixed, key=lambda found: bare[found[0]] == found[1]),
    )


# Where a provider answers, for clients that can be pointed elsewhere, in the words of the prices.
ENDPOINTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.x.ai": "x-ai",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.fireworks.ai": "fireworks",
    "api.moonshot.ai": "moonshotai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.voyageai.com": "voyageai",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "google",
}


def provider_at(base_url: str | None, word: str | None) -> str | None:
    """
    Tell which company serves a model; None if that is not known.

    Args:
        base_url: The endpoint, None if the client uses its own default. With
            an endpoint of somebody else the client's class says nothing.
        word: The framework's own word for the provider.
    """
    if base_url is None:
        return word
    host = urlsplit(base_url).hostname or ""
    return ENDPOINTS.get(host)


# The lowest HTTP status that tells of an error.
FIRST_ERROR = 400


@runtime_checkable
class HasStatusCode(Protocol):
    """
    An error that knows its HTTP status, as those of openai, anthropic and litellm do.
    """

    status_code: int


def error_code(error: BaseException) -> str | None:
    """
    Return the HTTP status behind an error, None if it has none.
    """
    if not isinstance(error, HasStatusCode) or not isinstance(error.status_code, int):
        return None
    # The status of a stream that fails half-way is that of its beginning: it went well.
    return str(error.status_code) if error.status_code >= FIRST_ERROR else None
