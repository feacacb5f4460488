"""
Where LangChain and its partner packages keep what a record needs.
"""

from collections.abc import Mapping

# LangChain's words for who speaks; a ChatMessage brings a role of its own.
ROLES = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "system": "system",
    "tool": "tool",
}
# LangChain's words for companies that others call otherwise. None: that is no company.
PROVIDERS: Mapping[str | None, str | None] = {
    "amazon_bedrock": "aws",
    "anthropic_bedrock": "aws",
    "google_anthropic_vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "litellm": None,
    "mistralai": "mistral",
    "xai": "x-ai",
}
# LangChain's word -> what its client was made with that names the endpoint, and the
# variables of the environment that do without LangChain's knowledge.
ENDPOINTS = {
    "anthropic": ("anthropic_api_url", ("ANTHROPIC_BASE_URL",)),
    "openai": ("openai_api_base", ("OPENAI_BASE_URL",)),
}
# What stands in `llm_output` or `response_metadata` -> field of Response, the last wins.
RESPONSE_FIELDS = {
    "model": "response_model",
    "model_name": "response_model",
    "id": "response_id",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}
# Where the provider's own report of usage stands, beside the client's summary of it.
REPORTS = ("usage", "token_usage")
# Clients that call the model asked for the one that answered; they say who they are by
# `model_provider` in `response_metadata`.
ECHOES = frozenset({"litellm"})
# Clients that send their requests themselves, by LangChain's word: no call of another
# framework is part of theirs.
DIRECT = frozenset({"anthropic", "openai"})
# Clients of models that keep parts of the input for as long as they are told to.
CACHE_LIFETIMES = frozenset(
    {"anthropic", "anthropic_bedrock", "google_anthropic_vertex", "litellm"}
)
# How providers call it: OpenAI, Anthropic, OpenAI's Responses API, Ollama, Bedrock.
FINISH_REASONS = ("finish_reason", "stop_reason", "status", "done_reason", "stopReason")
# What LangGraph and agents tell of themselves -> free tag.
PLACES = {"langgraph_node": "node", "lc_agent_name": "agent"}
# Before the number of an attempt, in the tag that `with_retry` gives it.
RETRY = "retry:attempt:"
# Parts of messages that are texts -> where.
TEXT_PARTS = {
    "text": "text",
    "thinking": "thinking",
    "reasoning": "reasoning",
    "refusal": "refusal",
}
# Parts that tell of tool calls; these stand in the message itself, too.
TOOL_PARTS = frozenset({"tool_use", "tool_call", "function_call", "tool_call_chunk"})
# Where pictures, sounds and files lie in parts of messages.
MEDIA_PATHS = (
    ("image_url", "url"),
    ("image_url",),
    ("source", "data"),
    ("source", "url"),
    ("input_audio", "data"),
    ("file", "file_data"),
    ("base64",),
    ("data",),
    ("url",),
    ("file_id",),
)
# Errors by which a parser says that the model refused.
REFUSALS = frozenset({"ModelRefusalError", "OpenAIRefusalError"})
# Errors of runs that say nothing of what they read: they were given up, or LangGraph goes
# on elsewhere or asks a person.
NO_JUDGEMENTS = frozenset({"CancelledError", "GeneratorExit", "KeyboardInterrupt", "GraphBubbleUp"})
# Errors of clients that read an answer of a certain shape by themselves, and could not.
MISREADINGS = frozenset(
    {"ValidationError", "LengthFinishReasonError", "ContentFilterFinishReasonError"}
)
