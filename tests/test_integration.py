"""
What handlers of frameworks share.
"""

from typing import Any

import pytest

from modeltrail.integration import tags_from_metadata


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
        ({"user_id": 17, "user": "u"}, {"user": "u"}),
        ({"user_id": 17, "user": None}, {"user": 17}),
    ],
)
def test_tags_in_metadata(metadata: dict[Any, Any] | None, tags: dict[str, Any]) -> None:
    """Prefixed keys win over plain ones, exact names over others; the rest is no tag."""
    assert tags_from_metadata(metadata) == tags
