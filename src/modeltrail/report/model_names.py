"""
Which name of a model in the trail is which name in a provider's export.

A name that stands in both is itself. Else two names are the same model if they
are equal after the parts that say where and when are taken off: the region and
the maker before it (`us.anthropic.`), and after it the date or version of a
snapshot (`-2024-07-18`, `-20250514`, `@20250514`, `-0613`, `-v1:0`) or
`-latest`. If that leaves more than one candidate, the names stay apart.
"""

import re
from collections.abc import Collection, Mapping

_PLACE = re.compile(r"^(?:(?:us|eu|apac|jp|au|global|us-gov)\.)?(?:[a-z0-9]+\.)?(?=[a-z])")
_SNAPSHOT = re.compile(
    r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest|default))?(?:-v\d+(?::\d+)?)?$"
)
# What a name says before its last slash is the route to the model: a client, an ARN.
_ROUTE = re.compile(r"^.*/")


def stem(model: str) -> str:
    """
    Return a model's name without place and snapshot.
    """
    bare = _PLACE.sub("", _ROUTE.sub("", model.lower()), count=1)
    return _SNAPSHOT.sub("", bare, count=1) or bare


def matches(trail: Collection[str], export: Collection[str]) -> Mapping[str, str]:
    """
    Return for each model of the trail its name in the export; its own if there is none.
    """
    by_stem: dict[str, list[str]] = {}
    for name in export:
        by_stem.setdefault(stem(name), []).append(name)
    found = {}
    for name in trail:
        candidates = [name] if name in export else by_stem.get(stem(name), [])
        found[name] = candidates[0] if len(candidates) == 1 else name
    return found
