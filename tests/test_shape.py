"""
Facts about a text.
"""

import pytest

from modeltrail.shape import output_format


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ('{"a": 1}', "json"),
        (" [1, 2]\n", "json"),
        ('{"a": 1', "prose"),
        ("[not json]", "prose"),
        ("```python\nx = 1\n```", "code"),
        ("Eight.", "prose"),
        ("42", "prose"),
        ('{"a": "\ud800"}', "prose"),
        ("[" * 100_000, "prose"),
    ],
)
def test_format_of_a_text(text: str, expected: str) -> None:
    """JSON must parse as a whole; what does not is prose."""
    assert output_format(text) == expected


def test_provider_decides_what_is_a_refusal() -> None:
    """A refusal is what was marked as one; a tool call wins over the text beside it."""
    assert output_format("I cannot help.", refusal=True) == "refusal"
    assert output_format("I cannot help.") == "prose"
    assert output_format("", tool_calls=True) == "tool_call"
