"""
Where LangChain and its partner packages keep what a record needs.
"""

# LangChain's words for who speaks; a ChatMessage brings a role of its own.
ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
# What stands in `llm_output` or `response_metadata` -> field of Response, the last wins.
RESPONSE_FIELDS = {
    "model": "response_model",
    "model_name": "response_model",
    "id": "response_id",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}
# How providers call it: OpenAI, Anthropic, OpenAI's Responses API, Ollama, Bedrock.
FINISH_REASONS = ("finish_reason", "stop_reason", "status", "done_reason", "stopReason")
# What LangGraph and agents tell of themselves -> free tag.
PLACES = {"langgraph_node": "node", "lc_agent_name": "agent"}
# Before the number of an attempt, in the tag that `with_retry` gives it.
RETRY = "retry:attempt:"
