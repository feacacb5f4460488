"""
What handlers of frameworks share.
"""

from typing import Any

import pytest

from modeltrail.integration import provider_at, tags_from_metadata
from modeltrail.prices import Subject, price
from modeltrail.record import Usage


@pytest.mark.parametrize(
    ("metadata", "tags"),
    [
        (None, {}),
        ({}, {}),
        ({"thread_id": 7, "ls_provider": "openai", 5: "five"}, {}),
        ({"feature": "support", "variant": None}, {"feature": "support"}),
        ({"modeltrail_feature": "a", "feature": "b"}, {"feature": "a"}),
        ({"feature": "b", "modeltrail_feature": "a"}, {"feature": "a"}),
        ({"feature": "b", "modeltrail_feature": None}, {"feature": None}),
        ({"modeltrail_team": "berlin"}, {"team": "berlin"}),
        ({"user_id": 17, "session_id": "s"}, {"user": 17, "session": "s"}),
        ({"user": "u", "user_id": 17}, {"user": "u"}),
        ({"modeltrail_user_id": 17, "modeltrail_session_id": "s"}, {"user": 17, "session": "s"}),
        ({"modeltrail_user": "u", "modeltrail_user_id": 17, "user": 3}, {"user": "u"}),
        ({"modeltrail_user_id": 17, "modeltrail_user": "u"}, {"user": "u"}),
        ({"user_id": 17, "user": "u"}, {"user": "u"}),
        ({"user_id": 17, "user": None}, {"user": 17}),
    ],
)
def test_tags_in_metadata(metadata: dict[Any, Any] | None, tags: dict[str, Any]) -> None:
    """Prefixed keys win over plain ones, exact names over others; the rest is no tag."""
    assert tags_from_metadata(metadata) == tags


@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("https://api.openai.com/v1", "gpt-4o"),
        ("https://api.anthropic.com/v1/messages", "claude-opus-5"),
        ("https://api.mistral.ai/v1", "mistral-large-2512"),
        ("https://api.deepseek.com/beta/chat/completions", "deepseek-v4-pro"),
        ("https://api.groq.com/openai/v1/chat/completions", "openai/gpt-oss-120b"),
        ("https://api.x.ai/v1/chat/completions", "grok-4.7"),
        ("https://api.cerebras.ai/v1/", "gpt-oss-120b"),
        ("https://api.cohere.ai/v2/embed", "embed-v4.0"),
        ("https://api.cohere.com/v2/chat", "command-a-03-2025"),
        ("https://api.fireworks.ai/inference/v1", "accounts/fireworks/models/glm-5p3"),
        ("https://api.moonshot.ai/v1", "kimi-k3"),
        ("https://api.perplexity.ai", "sonar-pro-search"),
        ("https://api.together.ai/v1/chat/completions", "moonshotai/Kimi-K3"),
        ("https://api.together.xyz/v1", "moonshotai/Kimi-K3"),
        ("https://api.voyageai.com/v1/embeddings", "voyage-4"),
        ("https://openrouter.ai/api/v1/chat/completions", "openai/gpt-4o"),
        ("https://generativelanguage.googleapis.com/v1beta", "gemini-2.5-pro"),
    ],
)
def test_models_at_known_endpoints_have_a_price(url: str, model: str) -> None:
    """A provider that is known by its endpoint is called as the prices call it."""
    provider = provider_at(url, None)
    assert provider is not None
    used = Usage(input_tokens=1000, output_tokens=1000, source="provider")
    cost = price(used, Subject(provider, model, 0), operation="chat")
    assert cost.nanousd is not None
