"""
LiteLLM's words, and what they mean in a record.
"""

from modeltrail.integration import Operation

# Kinds of calls that are recorded. Others, such as files and batches, call no model.
OPERATIONS: dict[str, Operation] = {
    "completion": "chat",
    "acompletion": "chat",
    "responses": "chat",
    "aresponses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "chat",
    "agenerate_content": "chat",
    "generate_content_stream": "chat",
    "agenerate_content_stream": "chat",
    "text_completion": "text_completion",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
    "image_generation": "image_generation",
    "aimage_generation": "image_generation",
    "image_edit": "image_generation",
    "aimage_edit": "image_generation",
    "speech": "speech",
    "aspeech": "speech",
    "transcription": "transcription",
    "atranscription": "transcription",
    "rerank": "rerank",
    "arerank": "rerank",
}
# Billed by the picture, the second, the character or the search: their price needs no tokens.
NOT_BY_TOKEN = frozenset({"image_generation", "speech", "transcription", "rerank"})
# What LiteLLM has for a text there is a checksum of the file.
WITHOUT_TEXT = frozenset({"transcription"})
# Companies that answer at an endpoint of each customer's own: the word tells, not the host.
CLOUDS = {
    "azure": "azure",
    "azure_ai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
}
# Field of Response -> where it stands in the response of the logging payload.
RESPONSE_FIELDS = {
    "response_id": "id",
    "system_fingerprint": "system_fingerprint",
    "service_tier": "service_tier",
}
# The provider's own id of the request, under the names that LiteLLM gives the headers.
REQUEST_IDS = ("llm_provider-x-request-id", "llm_provider-request-id")
# What only a provider reports, never LiteLLM's own count.
REPORTED_DETAILS = (
    "prompt_tokens_details",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)
# A text of the prompt that the application wrote itself.
PROMPT_ROLES = frozenset({"system", "developer"})
TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
# What stands in place of an answer that LiteLLM was told not to log.
REDACTED = "redacted-by-litellm"
# A header of a request to the proxy that is a tag: `x-modeltrail-feature` is `feature`.
TAG_HEADER = "x-modeltrail-"
# What the proxy knows of its caller -> a tag, the later one winning: nothing of the key itself.
IDENTITY_TAGS = (
    ("user_api_key_alias", "key_alias"),
    ("user_api_key_team_id", "team"),
    ("user_api_key_team_alias", "team"),
    ("user_api_key_org_alias", "organization"),
    ("user_api_key_project_alias", "project"),
)
# Where the proxy puts what a request says of itself, the later one winning, and its end user.
REQUEST_METADATA = ("spend_logs_metadata", "requester_metadata")
END_USER = "user_api_key_end_user_id"
PROXYS_WORDS = frozenset({END_USER, *REQUEST_METADATA, *dict(IDENTITY_TAGS)})
# Names in the metadata of a call that tell of its way through a Router, or of its tags.
ROUTING = frozenset(
    {"attempted_fallbacks", "attempted_retries", "is_silent_experiment", "model_group", "tags"}
)
# Among the tags of a request LiteLLM puts some that nobody gave.
LITELLMS_OWN_TAG = "User-Agent: "
# The kind of the event that tells of a request which the proxy has passed on to nobody.
REJECTED = "request-rejected"
# Kinds of calls that block their thread; of their ends threads of LiteLLM's tell.
TOLD_IN_THREADS = frozenset(
    {
        "completion",
        "responses",
        "generate_content",
        "generate_content_stream",
        "text_completion",
        "embedding",
        "image_generation",
        "image_edit",
        "speech",
        "transcription",
        "rerank",
    }
)
# The coroutines of tasks that LiteLLM makes to tell of the end of a stream.
TELLERS = frozenset(
    {
        "Logging.dispatch_success_handlers",
        "Logging.dispatch_attempt_failure_handlers",
        "Logging.async_success_handler",
        "Logging.async_failure_handler",
    }
)
