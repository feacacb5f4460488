"""
The ways in which providers and frameworks report usage: where each figure stands.

What is not `apart` is counted within its total: cached tokens within the
input, reasoning within the output. A total that is reported tells whether a
dialect is the right one: of those that share their marks the first whose
figures come to the total is read.

Where a report has a list of parts, each with its kind, a path ends with the kind: see `PARTS`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
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
        apart: Figure -> the field of `Usage`, or the figure beside it, that it is a part of
            and that does not contain it where the dialect reports it.
        total: Path of what input and output come to, if it is reported so.
        beside: Figures apart that this total leaves out.
    """

    name: str
    marks: tuple[str, ...]
    fields: Paths
    apart: Paths = NONE
    total: str | None = None
    beside: frozenset[str] = frozenset()

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
CITATION, SEARCHES = "citation_tokens", "web_searches"

# What tells an element's kind -> what tells its tokens, of lists such as
# [{"modality": "AUDIO", "tokenCount": 5}] and [{"ttl": "1h", "inputTokens": 5}].
PARTS = (("modality", "tokenCount"), ("modality", "token_count"), ("ttl", "inputTokens"))
# What is neither text nor speech: no text model's own kind.
_KINDS = ("audio", "image", "video", "document")
# A total -> figures of `usage_detail` that lie within it and not within each other.
WITHIN: Mapping[str, tuple[str, ...]] = {
    "input_tokens": tuple(f"input_{kind}_tokens" for kind in _KINDS),
    "output_tokens": tuple(f"output_{kind}_tokens" for kind in _KINDS),
    TOOL: tuple(f"tool_input_{kind}_tokens" for kind in _KINDS),
    READ: tuple(f"cache_read_input_{kind}_tokens" for kind in (*_KINDS, "text")),
    CREATION: (FIVE_MINUTES, HOUR),
}

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
    # OpenRouter's and LiteLLM's, of models that see.
    "image_tokens": "input_image_tokens",
    "video_tokens": "input_video_tokens",
}
_OPENAI_OUTPUT = {
    "reasoning_tokens": REASONING,
    "audio_tokens": "output_audio_tokens",
    "image_tokens": "output_image_tokens",
}


def _modalities(path: str, figure: str, kinds: Iterable[str] = _KINDS) -> dict[str, str]:
    return {f"{path}.{kind.upper()}": f"{figure}_{kind}_tokens" for kind in kinds}


# Totals with lists of what they are made of, as Google documents its UsageMetadata and
# ModalityTokenCount: ai.google.dev/api/generate-content, cloud.google.com/vertex-ai/generative-ai/
# docs/reference/rest/v1/GenerateContentResponse. The cache lies within the prompt in both. Of
# what is cached the text is kept, too: only so is it known that no audio is.
_GEMINI = {
    "promptTokenCount": "input_tokens",
    "candidatesTokenCount": "output_tokens",
    "cachedContentTokenCount": READ,
    "thoughtsTokenCount": REASONING,
    "toolUsePromptTokenCount": TOOL,
    **_modalities("promptTokensDetails", "input"),
    **_modalities("toolUsePromptTokensDetails", "tool_input"),
    **_modalities("candidatesTokensDetails", "output"),
    **_modalities("cacheTokensDetails", "cache_read_input", (*_KINDS, "text")),
}


# What tools have handed in is told beside the prompt: all of it, and each of its kinds.
_GEMINI_APART = {
    **_REASONING_APART,
    TOOL: "input_tokens",
    **{f"tool_input_{kind}_tokens": f"input_{kind}_tokens" for kind in _KINDS},
}


def _snake(path: str) -> str:
    name, *kind = path.split(".")
    return ".".join([re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name), *kind])


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
        # Perplexity's agents speak of responses: docs.perplexity.ai/api-reference/responses-post.
        "input_tokens_details.cache_read_input_tokens": READ,
        "input_tokens_details.cache_creation_input_tokens": CREATION,
        "tool_calls_details.search_web.invocation": SEARCHES,
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

PERPLEXITY = OPENAI._replace(
    # Tells apart what it thought and cited, and leaves both out of the total; citations are of the
    # answer: docs.perplexity.ai/getting-started/pricing (glossary). A report with 3,256 completion
    # and 73,248 reasoning tokens: bgeneto/open-webui-cost-tracker#6.
    name="perplexity",
    marks=("prompt_tokens", "num_search_queries"),
    fields={
        **OPENAI.fields,
        "reasoning_tokens": REASONING,
        "citation_tokens": CITATION,
        "num_search_queries": SEARCHES,
    },
    apart={**_REASONING_APART, CITATION: "output_tokens"},
    beside=frozenset({REASONING, CITATION}),
)

DIALECTS = (
    # Before OpenAI's, all of whose marks it has.
    PERPLEXITY,
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
            # Billed by the search: platform.claude.com/docs/en/agents-and-tools/tool-use.
            "server_tool_use.web_search_requests": SEARCHES,
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
            # Of what was written, how long it is kept:
            # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
            "cacheDetails.5m": FIVE_MINUTES,
            "cacheDetails.1h": HOUR,
        },
        apart=_CACHE_APART,
    ),
    Dialect(
        # The cache lies within the prompt; thoughts and the results of tools are told apart.
        "gemini",
        marks=("prompt_token_count",),
        fields={_snake(path): field for path, field in _GEMINI.items()},
        apart=_GEMINI_APART,
        total="total_token_count",
    ),
    Dialect(
        "gemini, as it is sent",
        marks=("promptTokenCount",),
        fields=_GEMINI,
        apart=_GEMINI_APART,
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
