"""
LlamaIndex's real clients, each pointed at the protocol of the local provider that it speaks.
"""

from collections.abc import Callable
from typing import Any

import pytest
from drivers.llama_index import FAKE_KEY, WITH_USAGE, make_llm
from llama_index.core.llms import LLM
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.litellm import LiteLLM
from llama_index.llms.openai import OpenAI, OpenAIResponses
from scenarios import ASKED

from modeltrail.testing import LocalProvider

Client = Callable[..., LLM]


def openai_model(provider: LocalProvider, **options: Any) -> LLM:
    """
    Make OpenAI's client without retries of its own.
    """
    known: dict[str, Any] = {"model": ASKED, "api_key": FAKE_KEY, "max_retries": 0}
    return OpenAI(**{**known, "api_base": provider.base_url, **options})


def responses_model(provider: LocalProvider, **options: Any) -> LLM:
    """
    Make OpenAI's client for its Responses API.
    """
    known: dict[str, Any] = {"model": ASKED, "api_key": FAKE_KEY, "max_retries": 0}
    return OpenAIResponses(**{**known, "api_base": provider.base_url, **options})


def anthropic_model(provider: LocalProvider, **options: Any) -> LLM:
    """
    Make Anthropic's client without retries of its own.
    """
    known: dict[str, Any] = {"model": "claude-sonnet-4-5", "api_key": FAKE_KEY, "max_retries": 0}
    return Anthropic(**{**known, "base_url": provider.anthropic_url, **options})


def litellm_model(provider: LocalProvider, **options: Any) -> LLM:
    """
    Make LiteLLM's client.
    """
    known: dict[str, Any] = {"model": f"openai/{ASKED}", "api_key": FAKE_KEY, "max_retries": 0}
    return LiteLLM(**{**known, "api_base": provider.base_url, **options})


def completing_model(provider: LocalProvider, **options: Any) -> LLM:
    """
    Make a client for a model that only completes texts.
    """
    return make_llm(provider, is_chat_model=False, **options)


CLIENTS: dict[str, Client] = {
    "openai": openai_model,
    "openai-like": make_llm,
    "responses": responses_model,
    "anthropic": anthropic_model,
    "litellm": litellm_model,
}
# What each needs to be told so that its streams report usage. LlamaIndex's client of LiteLLM
# breaks on a piece without choices, which is how usage comes.
STREAM_OPTIONS: dict[str, dict[str, Any]] = {
    "openai": WITH_USAGE,
    "openai-like": WITH_USAGE,
    "responses": {},
    "anthropic": {},
    "litellm": {},
}
every_client = pytest.mark.parametrize("client", CLIENTS)
