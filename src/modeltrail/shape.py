"""
Facts about a text that outlive it.

They are computed when the text passes by, so that they can be counted later
although the text is not kept.
"""

import msgspec

from modeltrail.record import OutputFormat


def output_format(text: str, *, tool_calls: bool = False, refusal: bool = False) -> OutputFormat:
    """
    Tell what kind of text an answer is.

    Args:
        refusal: The provider marked the answer as a refusal. A refusal is
            never guessed from the wording.

    Returns:
        `json` only if the whole text parses; `code` if it opens with a fence.
    """
    if refusal:
        return "refusal"
    if tool_calls:
        return "tool_call"
    stripped = text.strip()
    if not stripped:
        return "empty"
    if stripped.startswith("```"):
        return "code"
    if stripped[0] in "{[" and _is_json(stripped):
        return "json"
    return "prose"


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True
