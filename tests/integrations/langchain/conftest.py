"""
What the tests of LangChain share: the real clients, recorded in memory.
"""

from collections.abc import Iterator

import pytest
from langchain_openai import ChatOpenAI
from modeltrail_langchain import TrailCallbackHandler

from modeltrail.testing import CapturedTrail, LocalProvider, capture_records
from tests.integrations.langchain.clients import openai_model


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
