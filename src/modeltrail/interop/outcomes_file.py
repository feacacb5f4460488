"""
Outcomes from somebody else's system: rows of a file to outcomes of a trail.

Pure but for the keys that it is given. A row is read as a whole or not at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from modeltrail.errors import ConfigurationError
from modeltrail.interop.call_fields import FIELDS, id_of, text, uuid_of
from modeltrail.interop.calls_file import Outcome, micros
from modeltrail.interop.column_map import Pair, read_value
from modeltrail.interop.lines import BadRowError

Subject = Literal["call", "trace", "session", "unit"]
_COLUMN_OF: Mapping[Subject, str] = {
    "call": "call_id",
    "trace": "trace_id",
    "session": "session_ref",
    "unit": "unit_ref",
}
_PEOPLE = frozenset({"session", "unit"})


class OutcomeColumns(NamedTuple):
    """
    Which column tells what.

    Attributes:
        subject: What the outcomes belong to.
        whose: The column that says to which one.
        values: Name of an outcome and the column of its value, where each has its own.
        name: The column of the outcome's name, where each row is one outcome.
        value: The column of its value.
        at: The column that tells when it was known; None if none does.
        id: The column of the outcome's id; None if none is.
    """

    subject: Subject
    whose: str
    values: Sequence[Pair] = ()
    name: str | None = None
    value: str = "value"
    at: str | None = None
    id: str | None = None

    def check(self, known: Sequence[str]) -> None:
        """
        Refuse a file without a column that was asked for.

        Raises:
            ConfigurationError: There is none.
        """
        value = None if self.name is None else self.value
        asked = (self.whose, self.name, value, self.at, self.id, *(c for _, c in self.values))
        for column in asked:
            if column is not None and column not in known:
                raise ConfigurationError(
                    f"there is no column {column!r}; there are {', '.join(map(repr, known))}"
                )


class OutcomeReader:
    """
    Reads the rows of one file, in their order.

    An outcome is known by its id, or else by all that it says, and by how many equal
    ones came before it.

    Args:
        ref: Returns the reference of a person.
        now_us: When outcomes were known whose row does not tell, microseconds UTC.
    """

    def __init__(self, columns: OutcomeColumns, ref: Callable[[str], str], now_us: int) -> None:
        self._columns = columns
        self._ref = ref
        self._now_us = now_us
        self._seen: Counter[str] = Counter()

    def read(self, _: int, cells: Mapping[str, Any]) -> list[Outcome]:
        """
        Return the outcomes of a row: one, or as many as have a value.

        Raises:
            BadRowError: It has none, or something in it does not fit.
        """
        given = {name: value for name, value in cells.items() if value not in (None, "")}
        try:
            found = [self._outcome(given, name, value) for name, value in self._values(given)]
        except BadRowError:
            raise
        except (ValueError, RecursionError) as error:
            raise BadRowError(str(error)) from None
        if not found:
            raise BadRowError("has no value")
        # Not before: a row that is none of its own is none that others repeat.
        self._seen.update(said for _, said in found)
        return [outcome for outcome, _ in found]

    def _values(self, given: Mapping[str, Any]) -> list[tuple[str, int]]:
        columns = self._columns
        if columns.name is not None:
            name = _cell(given, columns.name)
            return [(name, micros(name, _present(given, columns.value)))]
        return [
            (name, micros(name, given[column]))
            for name, column in columns.values
            if column in given
        ]

    def _outcome(self, given: Mapping[str, Any], name: str, value: int) -> tuple[Outcome, str]:
        columns = self._columns
        whose = self._whose(_cell(given, columns.whose))
        at_us = None
        if columns.at is not None:
            at_us = read_value(columns.at, FIELDS["started_at_us"], _present(given, columns.at))
        said = f"{columns.subject}:{whose}:{name}:{value}:{at_us}"
        if columns.id is not None:
            said = f"{_cell(given, columns.id)}:{name}"
            if said in self._seen:
                raise BadRowError("its id is that of a row before it")
        id = uuid_of(f"outcome:{said}:{self._seen[said]}")
        when = self._now_us if at_us is None else at_us
        return Outcome(id, when, name, value, **{_COLUMN_OF[columns.subject]: whose}), said

    def _whose(self, told: str) -> str:
        if self._columns.subject == "call":
            return id_of(told)
        return self._ref(told) if self._columns.subject in _PEOPLE else told


def subject_of(given: Mapping[str, str | None]) -> tuple[Subject, str]:
    """
    Return what the outcomes belong to, and the column that tells it.

    Raises:
        ConfigurationError: Not exactly one is named.
    """
    named = [(each, column) for each in get_args(Subject) if (column := given[each]) is not None]
    if len(named) != 1:
        raise ConfigurationError(
            "outcomes belong to one of call, trace, session or unit: name its column with --call, "
            "--trace, --session or --unit"
        )
    return named[0]


def _cell(given: Mapping[str, Any], column: str) -> str:
    try:
        return text(_present(given, column))
    except BadRowError:
        raise
    except ValueError as error:
        raise BadRowError(f"{column}: {str(given[column])[:60]!r} {error}") from None


def _present(given: Mapping[str, Any], column: str) -> Any:
    if column not in given:
        raise BadRowError(f"{column}: is empty")
    return given[column]
