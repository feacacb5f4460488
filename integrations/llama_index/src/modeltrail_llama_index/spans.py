"""
What is kept of a span while it lasts: its place, and the model whose method it covers.

The start of a call names its span and little else; the model's endpoint, and
what an embedding model is given, are known to the span alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from time import time_ns
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms.custom import CustomLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from msgspec import Struct

from modeltrail.integration import allowed_parameters

EMBEDDERS = frozenset({BaseEmbedding, BaseSparseEmbedding})
MODELS = EMBEDDERS | {BaseLLM}
# Their own methods only forward to another call, which announces itself.
WRAPPERS = (CustomLLM, StructuredLLM)
# The methods of an LLM that call it.
METHODS = frozenset(
    f"{way}{what}" for way in ("", "a", "stream_", "astream_") for what in ("chat", "complete")
)
# What the methods of an embedding model call their input: one text, or many.
ONE_TEXT = ("query", "text")
MANY_TEXTS = "texts"
# Where the classes of LlamaIndex and of its clients are.
LIBRARY = "llama_index."
# Where an LLM may keep several others.
COLLECTIONS = (dict, list, tuple)
# A span's id is class and method, a hyphen and a UUID.
UUID_CHARS = 37

Messages = list[tuple[str, str]]
NONE: Iterator[Messages] = iter(())


class Model(Struct, frozen=True):
    """
    What is kept of the model whose method a span covers.

    Attributes:
        kind: Its class.
        base_url: Its endpoint, None if it tells none.
        parameters: Parameters of every request that it makes.
        inputs: What an embedding model is given, request by request.
        entered_us: When the span began, microseconds UTC.
        is_router: Whether it is an application's own LLM that has others at hand.
    """

    kind: type
    base_url: str | None
    parameters: Mapping[str, Any]
    inputs: Iterator[Messages]
    entered_us: int
    is_router: bool


class Span(Struct, frozen=True):
    """
    A span that was entered and not left.

    Attributes:
        id: Its id.
        around: The span that it was entered in, None if that was not seen.
        trace_id: The id of the outermost span.
        parent_id: The nearest span around it of another object.
        owner: Tells objects apart while they are in use; None for a function.
        model: None if it covers no model's method.
    """

    id: str
    around: "Span | None"
    trace_id: str
    parent_id: str | None
    owner: int | None
    model: Model | None


def span_from(
    span_id: str,
    parent_id: str | None,
    parent: Span | None,
    instance: object,
    arguments: Mapping[str, Any],
) -> Span:
    """
    Describe a span that begins.

    A method of a model that calls the one it overrides makes a span within a
    span for one call: the two share their parent.
    """
    kind: type = type(instance)
    owner = None if instance is None else id(instance)
    model = model_from(instance, arguments) if _is_model(kind) else None
    if parent is None:
        return Span(span_id, None, parent_id or span_id, parent_id, owner, model)
    nested = model is not None and owner == parent.owner
    outer_id = parent.parent_id if nested else parent_id
    return Span(span_id, parent, parent.trace_id, outer_id, owner, model)


def model_from(instance: Any, arguments: Mapping[str, Any]) -> Model:
    """
    Read what is needed of a model: its fields, so that no code of its own runs.
    """
    kind: type = type(instance)
    fields = vars(instance)
    inputs = _inputs(arguments, fields.get("embed_batch_size") or 1) if _embeds(kind) else NONE
    parameters = allowed_parameters(fields)
    base_url = fields.get("api_base") or fields.get("base_url") or None
    is_router = _is_own_llm(kind) and _has_llm(instance)
    return Model(kind, base_url, parameters, inputs, time_ns() // 1000, is_router)


def _inputs(arguments: Mapping[str, Any], batch_size: int) -> Iterator[Messages]:
    one = next((arguments[name] for name in ONE_TEXT if name in arguments), None)
    texts = (one,) if one is not None else tuple(arguments.get(MANY_TEXTS) or ())
    return (
        [("user", str(text)) for text in texts[begin : begin + batch_size]]
        for begin in range(0, len(texts), batch_size)
    )


@lru_cache(maxsize=512)
def _is_model(kind: type) -> bool:
    # `isinstance` of pydantic's classes takes microseconds, and every span asks.
    return not MODELS.isdisjoint(kind.__mro__)


@lru_cache(maxsize=512)
def _embeds(kind: type) -> bool:
    return not EMBEDDERS.isdisjoint(kind.__mro__)


@lru_cache(maxsize=512)
def _is_own_llm(kind: type) -> bool:
    return BaseLLM in kind.__mro__ and not kind.__module__.startswith(LIBRARY)


def _has_llm(llm: BaseLLM) -> bool:
    values = [*vars(llm).values(), *(llm.__pydantic_private__ or {}).values()]
    is_there, may_be_within = _llm_among(frozenset(map(type, values)))
    # The kind of a list tells nothing of what is in it.
    return is_there or (may_be_within and any(map(_is_llm_in, values)))


def _is_llm_in(value: object) -> bool:
    if not isinstance(value, COLLECTIONS):
        return False
    members: Iterable[object] = value.values() if isinstance(value, dict) else value
    return _llm_among(frozenset(map(type, members)))[0]


# By their kinds, since the same ones come with each call of a model.
@lru_cache(maxsize=512)
def _llm_among(kinds: frozenset[type]) -> tuple[bool, bool]:
    """
    Tell whether an LLM is among values of these kinds, and whether one may be within them.
    """
    return (
        any(BaseLLM in each.__mro__ for each in kinds),
        any(issubclass(each, COLLECTIONS) for each in kinds),
    )


def asked_model(span: Span, method: str) -> Model | None:
    """
    Return the LLM if a span covers a call of it itself.

    Of a stream of a router nobody knows until it is read.
    """
    model = span.model
    if model is None or method not in METHODS or _embeds(model.kind):
        return None
    is_open = model.is_router and method.partition("stream_")[1]
    return None if is_open or _implementer(model.kind, method) in WRAPPERS else model


def method_of(span_id: str | None) -> str:
    """
    Return the name of the method that a span covers.
    """
    return (span_id or "")[:-UUID_CHARS].rpartition(".")[2]


def is_forwarded(span: Span | None, method: str) -> bool:
    """
    Tell whether a method leaves the call to another, which will be told of.

    Whether a router did, is known at the end of its span.
    """
    model = None if span is None else span.model
    if model is None:
        return False
    return model.is_router or _implementer(model.kind, method) in WRAPPERS


@lru_cache(maxsize=512)
def _implementer(kind: type, method: str) -> type | None:
    return next((each for each in kind.__mro__ if method in vars(each)), None)
