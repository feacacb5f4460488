"""
All of LangChain's clients that speak to the local provider.
"""

from collections.abc import Callable
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_litellm import ChatLiteLLM
from langchain_openai import ChatOpenAI

from modeltrail.testing import LocalProvider

Client = Callable[..., BaseChatModel]

KEY = "sk-local-not-a-key"


def openai_model(provider: LocalProvider, **options: Any) -> ChatOpenAI:
    """
    Make OpenAI's client without retries of its own.
    """
    known: dict[str, Any] = {"model": "gpt-4o-mini", "max_retries": 0, "api_key": KEY}
    return ChatOpenAI(**{**known, "base_url": provider.base_url, **options})


def anthropic_model(provider: LocalProvider, **options: Any) -> ChatAnthropic:
    """
    Make Anthropic's client without retries of its own.
    """
    known: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_retries": 0, "api_key": KEY}
    return ChatAnthropic(**{**known, "base_url": provider.anthropic_url, **options})


def chat_model(provider: LocalProvider, **options: Any) -> BaseChatModel:
    """
    Make OpenAI's client, which reports the usage of streams if it is told to.
    """
    return openai_model(provider, **{"stream_usage": True, **options})


def responses_model(provider: LocalProvider, **options: Any) -> BaseChatModel:
    """
    Make OpenAI's client for its Responses API.
    """
    return openai_model(provider, use_responses_api=True, **options)


def litellm_model(provider: LocalProvider, *, retries: int = 0, **options: Any) -> ChatLiteLLM:
    """
    Make LiteLLM's client.

    Args:
        retries: Of the openai client behind it. `max_retries` of ChatLiteLLM itself counts
            attempts, of which there is one by default.
    """
    known: dict[str, Any] = {"model": "openai/gpt-4o-mini", "api_key": KEY}
    endpoint = {"api_base": provider.base_url, "model_kwargs": {"max_retries": retries}}
    return ChatLiteLLM(**{**known, **endpoint, **options})


CLIENTS: dict[str, Client] = {
    "chat": chat_model,
    "responses": responses_model,
    "anthropic": anthropic_model,
    "litellm": litellm_model,
}
