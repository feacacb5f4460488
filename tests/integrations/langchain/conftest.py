"""
What the tests of LangChain share: the real clients, recorded in memory.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler

from modeltrail.testing import CapturedTrail, LocalProvider, capture_records

KEY = "sk-local-not-a-key"


@pytest.fixture
def captured() -> Iterator[CapturedTrail]:
    """
    Keep records in memory.
    """
    with capture_records() as trail:
        yield trail


@pytest.fixture
def handler(captured: CapturedTrail) -> TrailCallbackHandler:
    """
    Record in memory.
    """
    return TrailCallbackHandler(captured)


@pytest.fixture
def model(handler: TrailCallbackHandler, provider: LocalProvider) -> ChatOpenAI:
    """
    Make the real client, recorded.
    """
    return openai_model(provider, callbacks=[handler])


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
