"""
From LlamaIndex's events to requests and responses; pure.

Reads known names only: credentials, headers and bodies of errors are not
touched.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from llama_index.core.base.llms.types import CachePoint, ChatMessage, ContentBlock
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingStartEvent,
    SparseEmbeddingStartEvent,
)
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent, LLMCompletionStartEvent

from modeltrail.integration import (
    Operation,
    Request,
    allowed_parameters,
    provider_at,
    tags_from_metadata,
)
from modeltrail_llama_index.spans import Messages, Model, Span

FRAMEWORK = "llama_index"
VERSION = version("llama-index-core")

STREAMING = frozenset({"stream_chat", "astream_chat", "stream_complete", "astream_complete"})
# Whom a class means while it has no endpoint of its own.
PROVIDERS = {
    "openai_llm": "openai",
    "openai_responses_llm": "openai",
    "OpenAIEmbedding": "openai",
    "Anthropic_LLM": "anthropic",
    "Bedrock_Converse_LLM": "aws",
    "GenAI": "google",
}
# Classes that send their requests themselves, by their own word: no call of another
# framework is part of theirs.
DIRECT = frozenset(
    {
        "Anthropic_LLM",
        "Bedrock_Converse_LLM",
        "GenAI",
        "Ollama_llm",
        "OpenAIEmbedding",
        "OpenAILike",
        "OpenAILikeEmbedding",
        "OpenAILikeResponses",
        "openai_llm",
        "openai_responses_llm",
    }
)
# Classes of models that keep parts of the input for as long as they are told to.
CACHE_LIFETIMES = frozenset({"Anthropic_LLM"})
PROMPT_ROLES = frozenset({"system", "developer"})
# An agent's run, as workflows tag it; their other tags hold content.
RUN_TAG = "llamaindex.run_id"

# What an event of a certain kind says about a call: what is done, the messages, which of their
# texts is the application's own prompt, and the parameters.
Asked = tuple[Operation, Messages, str | None, Mapping[str, Any]]


def request_from(
    event: Any, span: Span | None, method: str, *, started_at_us: int | None = None
) -> Request:
    """
    Describe a call that begins.

    Args:
        event: One of those that `READERS` names.
        span: The span it belongs to, None if that was not seen.
        method: The method that the span covers.
        started_at_us: When it began, if that was not now.
    """
    here = event.span_id or event.id_
    place = span or Span(here, None, here, None, None, None)
    operation, messages, prompt, parameters = READERS[type(event)](event, place.model)
    own = place.model.parameters if place.model else {}
    described = event.model_dict
    return Request(
        framework=FRAMEWORK,
        framework_version=VERSION,
        operation=operation,
        run_id=event.id_,
        trace_id=str(event.tags.get(RUN_TAG) or place.trace_id),
        parent_id=place.parent_id,
        provider=_provider(described, place.model),
        request_model=described.get("model_name") or described.get("model"),
        streaming=method in STREAMING,
        started_at_us=started_at_us,
        parameters={**own, **allowed_parameters(parameters)} if parameters else own,
        messages=messages,
        prompt=prompt,
        tags=tags_from_metadata(event.tags),
    )


def caches_for_hour(event: Any) -> bool:
    """
    Tell whether the provider is asked to keep part of the input for an hour.

    Args:
        event: One of those that `READERS` names.
    """
    if type(event) is not LLMChatStartEvent:
        return False
    if event.model_dict.get("class_name") not in CACHE_LIFETIMES:
        return False
    return any(ttl == "1h" for message in event.messages for ttl in _lifetimes(message))


def _lifetimes(message: ChatMessage) -> Iterator[Any]:
    if isinstance(control := message.additional_kwargs.get("cache_control"), Mapping):
        yield control.get("ttl")
    for block in message.blocks:
        if isinstance(block, CachePoint):
            yield block.cache_control.ttl


def _provider(described: Mapping[str, Any], model: Model | None) -> str | None:
    # Without the model itself nobody knows where it was pointed at.
    if model is None:
        return None
    return provider_at(model.base_url, PROVIDERS.get(described.get("class_name", "")))


def _chat(event: LLMChatStartEvent, _: Model | None) -> Asked:
    # `_value_` is what an enumeration's `value` returns, by way of two functions.
    messages = [(each.role._value_, _text_of(each.blocks)) for each in event.messages]
    prompt = next((text for role, text in messages if role in PROMPT_ROLES), None)
    return "chat", messages, prompt, event.additional_kwargs


def _completion(event: LLMCompletionStartEvent, _: Model | None) -> Asked:
    # A chat model completes a prompt by a chat of one message.
    operation: Operation = "chat" if event.model_dict.get("is_chat_model") else "text_completion"
    messages = [("user", event.prompt)]
    return operation, messages, None, event.additional_kwargs


def _embedding(_: EmbeddingStartEvent, model: Model | None) -> Asked:
    # The start of a request for embeddings does not say what is embedded; its span does.
    return "embeddings", next(model.inputs, []) if model else [], None, {}


READERS: Mapping[type, Callable[[Any, Model | None], Asked]] = {
    LLMChatStartEvent: _chat,
    LLMCompletionStartEvent: _completion,
    EmbeddingStartEvent: _embedding,
    SparseEmbeddingStartEvent: _embedding,
}


def _text_of(blocks: Iterable[ContentBlock]) -> str:
    return "\n".join(map(_block_text, blocks))


def _block_text(block: ContentBlock) -> str:
    # What is no text stands as `[image]` and the like.
    if block.block_type == "text":
        return block.text
    read = BLOCKS.get(block.block_type)
    return f"[{block.block_type}]" if read is None else read(block)


def contents_of(blocks: Iterable[Any]) -> tuple[str, list[tuple[str, str]]]:
    """
    Return the text of an answer, and the (name, arguments) pairs of the tools that it calls.
    """
    texts: list[str] = []
    tool_calls: list[tuple[str, str]] = []
    for each in blocks:
        if each.block_type == "text":
            texts.append(each.text)
        elif each.block_type == "tool_call":
            tool_calls.append((each.tool_name, _arguments(each)))
    return "\n".join(texts), tool_calls


def _arguments(block: Any) -> str:
    # A stream's arguments are text until they are complete.
    given = block.tool_kwargs
    if isinstance(given, str):
        return given
    return json.dumps(given, default=str, ensure_ascii=False, separators=(",", ":"))


BLOCKS: Mapping[str, Callable[[Any], str]] = {
    "thinking": lambda block: block.content or "",
    "tool_call": lambda block: f"{block.tool_name}({_arguments(block)})",
    "citable": lambda block: _text_of(block.content),
}
