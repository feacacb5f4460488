"""
Tags of the context: what the calls made from here on are for.

Tags that are fit for log lines are bound through structlog's contextvars, so
that what an application already binds under these names lands on its call
records, and what is tagged here lands on its log lines. Names of people stay
in a variable of our own, out of the logs.
"""

from collections.abc import Mapping
from contextvars import ContextVar, copy_context
from types import MappingProxyType, TracebackType
from typing import Any, Self

from structlog import contextvars as structlog_contextvars

# These land on log lines as well.
SHARED_TAGS = ("feature", "segment", "experiment", "variant", "environment")
# These do not: they name people, or only a record needs them.
OWN_TAGS = ("phase", "propensity_ppm", "unit_type", "unit", "user", "session")
# Tags that are columns of text.
LABELS = frozenset({*SHARED_TAGS, "phase", "unit_type"})
# Those of SHARED_TAGS that an experiment binds by itself.
ASSIGNED_TAGS = frozenset({"experiment", "variant"})

# structlog keeps each name in a variable of its own, where Ellipsis says that it is not bound.
_VARIABLES = {
    structlog_contextvars.STRUCTLOG_KEY_PREFIX + name: name for name in SHARED_TAGS + OWN_TAGS
}

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_own: ContextVar[Mapping[str, Any]] = ContextVar("modeltrail_tags", default=_NOTHING)


class tag:  # noqa: N801 - reads as a verb where it is used
    """
    Tag the model calls made inside a `with` block.

    Tags merge with those of enclosing blocks; the inner one wins; None takes a
    tag away. Tasks, `asyncio.to_thread` and LangChain's own executors inherit
    them; a bare `threading.Thread` does not.

    Example:
        with modeltrail.tag(feature="support", user="u-17", team="berlin"):
            model.invoke(...)

    Args:
        tags: Names of `modeltrail.record.Tags`; any other name is kept as a
            free tag if its value can be written as JSON. `user`, `unit` and
            `session` are stored only as keyed references.
    """

    def __init__(self, **tags: Any) -> None:
        self._shared = {name: tags.pop(name) for name in SHARED_TAGS if name in tags}
        self._own = tags
        # What an assignment inside the block binds ends with the block, too.
        self._restored = self._shared.keys() | ASSIGNED_TAGS
        self._before: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []

    def __enter__(self) -> Self:
        own = _own.get()
        self._before.append((structlog_contextvars.get_contextvars(), own))
        _bind(self._shared, {**own, **self._own})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Values are put back rather than tokens reset: a generator may end its
        # block in another context than it began in, where a token raises.
        shared, own = self._before.pop()
        structlog_contextvars.unbind_contextvars(*(self._restored - shared.keys()))
        _bind({name: shared[name] for name in self._restored & shared.keys()}, own)


def bind(**tags: Any) -> None:
    """
    Tag all that follows in this context, until an enclosing `tag` block ends.
    """
    shared = {name: tags.pop(name) for name in SHARED_TAGS if name in tags}
    _bind(shared, {**_own.get(), **tags})


def bind_assignment(
    *,
    experiment: str,
    variant: str | None,
    unit: str | None,
    unit_type: str,
    phase: str | None = None,
    propensity_ppm: int | None = None,
) -> None:
    """
    Tag all that follows with what a unit was given in an experiment.

    A unit that is not enrolled takes part in nothing; but it stays in another experiment
    that it was assigned to before. Two that exclude each other are both asked for each user.

    Args:
        experiment: Key of the experiment.
        variant: None if the unit is not enrolled.
    """
    if variant is None and _is_in_another(experiment, unit, unit_type):
        return
    bind(
        experiment=None if variant is None else experiment,
        variant=variant,
        phase=phase,
        propensity_ppm=propensity_ppm,
        unit_type=unit_type,
        unit=unit,
    )


def _is_in_another(experiment: str, unit: str | None, unit_type: str) -> bool:
    tags = current_tags()
    # What is left of another unit, in a context without a `tag` block, must not stay.
    is_left = tags.get("unit_type") == unit_type and tags.get("unit") != unit
    return tags.get("experiment") not in (None, experiment) and not is_left


def _bind(shared: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    if shared:
        structlog_contextvars.bind_contextvars(**shared)
    _own.set(own)


def current_tags() -> dict[str, Any]:
    """
    Return the tags of this context, known names and free ones.
    """
    # As structlog's `get_contextvars`, but without a copy of all that is bound: every
    # model call asks.
    found = {
        _VARIABLES[variable.name]: value
        for variable, value in copy_context().items()
        if variable.name in _VARIABLES and value is not Ellipsis
    }
    found.update(_own.get())
    return found


def label(value: object) -> str | None:
    """
    Return a tag's value as the text that is kept of it; None if it is no label.
    """
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else None
