"""
The ways in which providers and frameworks report usage: where each figure stands.

What is not `apart` is counted within its total: cached tokens within the
input, reasoning within the output. A total that is reported tells whether a
dialect is the right one: of those that share their marks the first whose
figures come to the total is read.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

Paths = Mapping[str, str]
NONE: Paths = MappingProxyType({})


class Dialect(NamedTuple):
    """
    Where one way of reporting usage keeps its figures.

    Attributes:
        marks: Paths that must be there for the dialect to be recognised; the
            steps of a path are joined by dots.
        fields: Path -> field of `Usage`, or any other name for a figure that
            is kept in `usage_detail`.
        apart: Figure -> the field of `Usage` that it is a part of and that
            does not contain it where the dialect reports it.
        total: Path of what input and output come to, if it is reported so.
    """

    name: str
    marks: tuple[str, ...]
    fields: Paths
    apart: Paths = NONE
    total: str | None = None

    def paths(self) -> Iterator[str]:
        """
        Return all that is ever looked at.
        """
        yield from self.marks
        yield from self.fields
        if self.total:
            yield self.total


READ, CREATION = "cache_read_input_tokens", "cache_creation_input_tokens"
FIVE_MINUTES, HOUR = "cache_creation_5m_input_tokens", "cache_creation_1h_input_tokens"
REASONING, TOOL = "reasoning_output_tokens", "tool_input_tokens"

# For those that count as input only what was neither read from a cache nor written to one.
_CACHE_APART = {READ: "input_tokens", CREATION: "input_tokens"}
_REASONING_APART = {REASONING: "output_tokens"}


def _within(part: str, fields: Paths) -> dict[str, str]:
    return {f"{part}.{name}": field for name, field in fields.items()}


# Anthropic's writes by how long they are kept.
_LIFETIMES = {"ephemeral_5m_input_tokens": FIVE_MINUTES, "ephemeral_1h_input_tokens": HOUR}
_OPENAI_INPUT = {
    "cached_tokens": READ,
    "cache_write_tokens": CREATION,
    "audio_tokens": "input_audio_tokens",
}
_OPENAI_OUTPUT = {"reasoning_tokens": REASONING, "audio_tokens": "output_audio_tokens"}

OPENAI = Dialect(
    # And whoever speaks it: Mistral, Groq, OpenRouter, vLLM and others.
    "openai",
    marks=("prompt_tokens",),
    fields={
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        # DeepSeek's, beside or instead of the details.
        "prompt_cache_hit_tokens": READ,
        **_within("prompt_tokens_details", _OPENAI_INPUT),
        **_within("completion_tokens_details", _OPENAI_OUTPUT),
        # LiteLLM's additions, for providers that report it.
        "prompt_tokens_details.cache_creation_tokens": CREATION,
        **_within("prompt_tokens_details.cache_creation_token_details", _LIFETIMES),
    },
    total="total_tokens",
)
LANGCHAIN = Dialect(
    # OpenAI's responses name the same totals and other parts.
    "langchain",
    marks=("input_tokens", "total_tokens"),
    fields={
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        **_within("input_tokens_details", _OPENAI_INPUT),
        **_within("output_tokens_details", _OPENAI_OUTPUT),
        "input_token_details.cache_read": READ,
        "input_token_details.cache_creation": CREATION,
        "input_token_details.audio": "input_audio_tokens",
        # `cache_creation` is 0 beside them.
        **_within("input_token_details", _LIFETIMES),
        "output_token_details.reasoning": REASONING,
        "output_token_details.audio": "output_audio_tokens",
        # Tokens served at another tier have names of their own.
        **{
            f"input_token_details.{tier}_{name}": field
            for tier in ("flex", "priority")
            for name, field in (("cache_read", READ), ("cache_creation", CREATION))
        },
        **{f"output_token_details.{tier}_reasoning": REASONING for tier in ("flex", "priority")},
    },
    apart={FIVE_MINUTES: CREATION, HOUR: CREATION},
    total="total_tokens",
)

DIALECTS = (
    OPENAI,
    # xAI counts reasoning beside the completion, within the total:
    # docs.x.ai/docs/key-information/consumption-and-rate-limits
    OPENAI._replace(name="x-ai", apart=_REASONING_APART),
    LANGCHAIN,
    LANGCHAIN._replace(name="langchain, of x-ai", apart={**LANGCHAIN.apart, **_REASONING_APART}),
    Dialect(
        "anthropic",
        marks=("input_tokens",),
        fields={
            "input_tokens": "input_tokens",
            "output_tokens": "output_tokens",
            READ: READ,
            CREATION: CREATION,
            **_within("cache_creation", _LIFETIMES),
            "output_tokens_details.thinking_tokens": REASONING,
        },
        apart=_CACHE_APART,
    ),
    Dialect(
        "bedrock",
        marks=("inputTokens",),
        fields={
            "inputTokens": "input_tokens",
            "outputTokens": "output_tokens",
            "cacheReadInputTokens": READ,
            "cacheWriteInputTokens": CREATION,
        },
        apart=_CACHE_APART,
    ),
    Dialect(
        # The cache lies within the prompt; thoughts and the results of tools are told apart.
        "gemini",
        marks=("prompt_token_count",),
        fields={
            "prompt_token_count": "input_tokens",
            "candidates_token_count": "output_tokens",
            "cached_content_token_count": READ,
            "thoughts_token_count": REASONING,
            "tool_use_prompt_token_count": TOOL,
        },
        apart={**_REASONING_APART, TOOL: "input_tokens"},
        total="total_token_count",
    ),
    Dialect(
        "gemini, as it is sent",
        marks=("promptTokenCount",),
        fields={
            "promptTokenCount": "input_tokens",
            "candidatesTokenCount": "output_tokens",
            "cachedContentTokenCount": READ,
            "thoughtsTokenCount": REASONING,
            "toolUsePromptTokenCount": TOOL,
        },
        apart={**_REASONING_APART, TOOL: "input_tokens"},
        total="totalTokenCount",
    ),
    Dialect(
        # Beside these it reports what the model saw, which nobody pays for.
        "cohere",
        marks=("billed_units.input_tokens",),
        fields={
            "billed_units.input_tokens": "input_tokens",
            "billed_units.output_tokens": "output_tokens",
            "cached_tokens": READ,
        },
    ),
    Dialect(
        "ollama",
        marks=("prompt_eval_count",),
        fields={"prompt_eval_count": "input_tokens", "eval_count": "output_tokens"},
    ),
)
