"""
What the tests of the lives of calls share: clients of three protocols, and patience.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate

from tests.integrations.langchain.clients import anthropic_model, openai_model, responses_model

PATIENCE_S = 10
TEXT = "The capital of France is Paris."
ASKED = ChatPromptTemplate.from_template("{question}")
QUESTION = {"question": "hi"}

Make = Callable[..., BaseChatModel]


every_client = pytest.mark.parametrize(
    "make", [openai_model, responses_model, anthropic_model], ids=["openai", "responses", "claude"]
)


async def until(reached: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """
    Wait until something has happened.
    """
    async with asyncio.timeout(patience_s):
        while not reached():  # noqa: ASYNC110 - the provider's threads set no asyncio event
            await asyncio.sleep(0.005)


def messages(*texts: str) -> list[list[Any]]:
    """
    Return a prompt for each text, as `generate` takes them.
    """
    return [[HumanMessage(text)] for text in texts]
