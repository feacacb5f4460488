"""
The tag by which GrowthBook knows an assignment: `gb.exp:<key>=<variation>`.

GrowthBook's trackers for Langfuse and Arize Phoenix find by it which traces
belong to an experiment (https://docs.growthbook.io/event-trackers/langfuse).
"""

from collections.abc import Iterable

PREFIX = "gb.exp:"


def write_tag(experiment: str, variant: str) -> str:
    """
    Return the tag of an assignment, for other systems.
    """
    return f"{PREFIX}{experiment}={variant}"


def read_tags(tags: Iterable[object]) -> dict[str, str]:
    """
    Find the assignment in the tags that a framework carries for a call.

    A call is in one experiment: of several such tags the first counts.

    Returns:
        `experiment` and `variant`; nothing if no tag names both.
    """
    for each in tags:
        if isinstance(each, str) and each.startswith(PREFIX):
            # The first one: a key has none.
            experiment, _, variant = each.removeprefix(PREFIX).partition("=")
            if experiment and variant:
                return {"experiment": experiment, "variant": variant}
    return {}
