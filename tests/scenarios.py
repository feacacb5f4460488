"""
The product's contract: what a call leaves in the trail, whatever the framework.

Each scenario is run by every integration through the framework's real client
against `LocalProvider`. Where frameworks truly differ, the difference stands
here with its reason and the measured fact behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import modeltrail
from modeltrail.testing import Answer, Fault

ASKED = "gpt-4o-mini"
ANSWERED = "gpt-4o-mini-2024-07-18"
PROMPT = "How many legs has a spider?"
TEXT = "A spider has eight legs."
TOOL = {
    "type": "function",
    "function": {
        "name": "count_legs",
        "description": "Count the legs of an animal.",
        "parameters": {
            "type": "object",
            "properties": {"animal": {"type": "string"}},
            "required": ["animal"],
        },
    },
}


class Driver(Protocol):
    """
    A framework's real client, called in the ways of the scenarios.

    Every client asks for the model `ASKED`, has no retries of its own and is
    pointed at the provider. `metadata` is what the framework carries for this
    very call. Errors of the framework pass through.
    """

    framework: str

    def chat(self, *, metadata: Mapping[str, Any] | None = None, timeout: float = 30) -> None:
        """Ask PROMPT."""

    async def achat(self, prompt: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        """Ask asynchronously."""

    def stream(self, *, usage: bool = True, take: int | None = None) -> None:
        """Stream the answer, all of it or the first `take` pieces, then close and drop it."""

    async def astream(self, *, usage: bool = True) -> None:
        """Stream the whole answer asynchronously."""

    def chat_with_tool(self) -> None:
        """Ask PROMPT, offering TOOL."""

    def embed(self) -> None:
        """Embed PROMPT; only if `has_embedding_events`."""

    has_embedding_events: bool

    def deliver(self) -> None:
        """Wait until the framework has delivered its late events."""


@dataclass(frozen=True)
class Scenario:
    """
    One way of calling and what it must leave.

    Attributes:
        steps: What the provider answers.
        act: Calls through the driver.
        expected: Columns of the one record that the call leaves.
        raises: Whether the framework raises.
        deviations: Framework -> (columns that differ, why).
    """

    name: str
    steps: tuple[Answer | Fault, ...]
    act: Callable[[Driver], None | Awaitable[None]]
    expected: Mapping[str, Any]
    raises: bool = False
    deviations: Mapping[str, tuple[Mapping[str, Any], str]] = field(default_factory=dict)

    def expected_of(self, framework: str) -> dict[str, Any]:
        """
        Return what is expected of one framework.
        """
        differing, _ = self.deviations.get(framework, ({}, ""))
        return {**self.expected, **differing}


ANSWER = Answer(
    text=TEXT,
    model=ANSWERED,
    input_tokens=14,
    output_tokens=7,
    response_id="chatcmpl-scenario",
    system_fingerprint="fp_scenario",
)

# gpt-4o-mini costs 150 nano-dollars a token in, 75 cached, 600 out (openai.com, since July 2024).
OK: Mapping[str, Any] = {
    "status": "ok",
    "operation": "chat",
    "provider": None,  # the endpoint is nobody's: the client's class says nothing
    "request_model": ASKED,
    "response_model": ANSWERED,
    "response_id": "chatcmpl-scenario",
    "streaming": False,
    "time_to_first_chunk_us": None,
    "input_tokens": 14,
    "output_tokens": 7,
    "cache_read_input_tokens": 0,
    "reasoning_output_tokens": 0,
    "usage_source": "provider",
    "cost_nanousd": 14 * 150 + 7 * 600,
    "cost_source": "genai-prices",
    "error_type": None,
    "error_code": None,
    "finish_reasons": '["stop"]',
    "input_chars": len(PROMPT),
    "output_chars": len(TEXT),
    "output_format": "prose",
    "capture_mode": "digest",
    "feature": None,
    "variant": None,
    "tags": None,
}
NO_USAGE: Mapping[str, Any] = {
    "input_tokens": None,
    "output_tokens": None,
    "cache_read_input_tokens": None,
    "reasoning_output_tokens": None,
    "usage_source": "missing",
    "cost_nanousd": None,
    "cost_source": "none",
}
NO_ANSWER: Mapping[str, Any] = {
    **NO_USAGE,
    "response_model": None,
    "response_id": None,
    "finish_reasons": None,
    "output_chars": None,
    "output_format": None,
}
SOME_TIME = "some time"  # stands for any positive number of microseconds
STREAMED: Mapping[str, Any] = {"streaming": True, "time_to_first_chunk_us": SOME_TIME}
NO_STREAM_ID = (
    {"response_id": None},
    "LangChain's merged chunks carry no response id (notes: response fields by path)",
)


def _own_error(name: str) -> Mapping[str, tuple[Mapping[str, Any], str]]:
    why = "langchain-openai raises its own subclass of the openai error (chat_models/base.py)"
    return {"langchain": ({"error_type": name}, why)}


def _failed(error_type: str, code: str | None) -> Mapping[str, Any]:
    return {**OK, **NO_ANSWER, "status": "error", "error_type": error_type, "error_code": code}


def _tagged(driver: Driver) -> None:
    with modeltrail.tag(feature="from-context", user="u-context", team="berlin"):
        driver.chat(
            metadata={"modeltrail_feature": "from-call", "variant": "B", "modeltrail_desk": 7}
        )


def _tagged_by_context(driver: Driver) -> None:
    with modeltrail.tag(feature="support", variant="A", environment="test"):
        driver.chat()


SCENARIOS = (
    Scenario("chat", (ANSWER,), lambda d: d.chat(), OK),
    Scenario("async chat", (ANSWER,), lambda d: d.achat(PROMPT), OK),
    Scenario(
        "streamed chat with usage",
        (ANSWER,),
        lambda d: d.stream(usage=True),
        {**OK, **STREAMED},
        deviations={"langchain": NO_STREAM_ID},
    ),
    Scenario(
        "async streamed chat with usage",
        (ANSWER,),
        lambda d: d.astream(usage=True),
        {**OK, **STREAMED},
        deviations={"langchain": NO_STREAM_ID},
    ),
    Scenario(
        "streamed chat without usage",
        (ANSWER,),
        lambda d: d.stream(usage=False),
        {**OK, **STREAMED, **NO_USAGE},
        deviations={"langchain": NO_STREAM_ID},
    ),
    Scenario(
        "abandoned stream",
        (replace(ANSWER, chunks=8, chunk_delay=0.02),),
        lambda d: d.stream(take=2),
        {
            **OK,
            **STREAMED,
            **NO_USAGE,
            "status": "cancelled",
            "finish_reasons": None,
            "output_chars": 2 * len(TEXT) // 8,
        },
        deviations={
            "langchain": (
                {"response_id": None, "response_model": None},
                "LangChain's chunks carry no response id, and the model with the last one only",
            ),
            "litellm": (
                {
                    **NO_ANSWER,
                    "status": "incomplete",
                    "time_to_first_chunk_us": None,
                },
                "LiteLLM fires no event for an abandoned stream; settle() ends it (notes (b))",
            ),
        },
    ),
    Scenario(
        "tool call",
        (
            Answer(
                model=ANSWERED,
                tool_calls=(("count_legs", '{"animal":"spider"}'),),
                response_id="chatcmpl-scenario",
            ),
        ),
        lambda d: d.chat_with_tool(),
        {**OK, "finish_reasons": '["tool_calls"]', "output_chars": 0, "output_format": "tool_call"},
    ),
    Scenario(
        "cached and reasoning tokens",
        (
            Answer(
                text=TEXT,
                model=ANSWERED,
                input_tokens=1200,
                cached_tokens=1024,
                output_tokens=96,
                reasoning_tokens=64,
                response_id="chatcmpl-scenario",
            ),
        ),
        lambda d: d.chat(),
        {
            **OK,
            "input_tokens": 1200,
            "cache_read_input_tokens": 1024,
            "output_tokens": 96,
            "reasoning_output_tokens": 64,
            "cost_nanousd": (1200 - 1024) * 150 + 1024 * 75 + 96 * 600,
        },
    ),
    Scenario(
        "wrong key",
        # LiteLLM tells the error by the words of the real API.
        (Fault(status=401, message="Incorrect API key provided: sk-local."),),
        lambda d: d.chat(),
        _failed("AuthenticationError", "401"),
        raises=True,
        deviations=_own_error("OpenAIAuthenticationError"),
    ),
    Scenario(
        "rate limit",
        (Fault(status=429),),
        lambda d: d.chat(),
        _failed("RateLimitError", "429"),
        raises=True,
        deviations=_own_error("OpenAIRateLimitError"),
    ),
    Scenario(
        "server error",
        (Fault(status=500),),
        lambda d: d.chat(),
        _failed("InternalServerError", "500"),
        raises=True,
        deviations=_own_error("OpenAIAPIError"),
    ),
    Scenario(
        "time-out of the client",
        (Fault(hang=10),),
        lambda d: d.chat(timeout=0.3),
        _failed("APITimeoutError", None),
        raises=True,
        deviations={
            **_own_error("OpenAITimeoutError"),
            "litellm": (
                {"error_type": "Timeout", "error_code": "408"},
                "LiteLLM has an error class of its own for it, with the status 408",
            ),
        },
    ),
    Scenario(
        "tags of the context",
        (ANSWER,),
        _tagged_by_context,
        {**OK, "feature": "support", "variant": "A", "environment": "test"},
    ),
    Scenario(
        "tags of the call win over the context",
        (ANSWER,),
        _tagged,
        {
            **OK,
            "feature": "from-call",
            "variant": "B",
            "user_ref": "u-context",
            "tags": '{"desk":7,"team":"berlin"}',
        },
    ),
)

EMBEDDING = Scenario(
    "embedding",
    (Answer(input_tokens=9, output_tokens=0, model="text-embedding-3-small"),),
    lambda d: d.embed(),
    {
        "status": "ok",
        "operation": "embeddings",
        "request_model": "text-embedding-3-small",
        "streaming": False,
        "output_tokens": None,
        "output_chars": None,
        "finish_reasons": None,
        "input_chars": len(PROMPT),
    },
)


async def fifty_at_once(driver: Driver) -> None:
    """
    Ask fifty questions at once, half tagged by metadata and half by context.

    Each asks for its own number, which is its variant, too.
    """

    async def by_context(number: int) -> None:
        with modeltrail.tag(variant=str(number)):
            await driver.achat(str(number))

    async def by_metadata(number: int) -> None:
        await driver.achat(str(number), metadata={"modeltrail_variant": str(number)})

    await asyncio.gather(
        *(by_context(n) if n % 2 else by_metadata(n) for n in range(50)),
    )
