"""
Which column of somebody else's log becomes what.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from modeltrail.errors import ConfigurationError
from modeltrail.interop.call_fields import FIELDS, OWN_FIELDS, RECORD_FIELDS, Field

Pair = tuple[str, str]


class Use(NamedTuple):
    """
    One thing that a column is used for.

    Attributes:
        name: The field or the outcome, as it was asked for.
        field: None if it is an outcome.
    """

    name: str
    field: Field | None


class Asked(NamedTuple):
    """
    What was asked for.

    Attributes:
        fields: Field and the column that it is read from.
        outcomes: Name of an outcome and the column that it is read from.
        values: Field -> a value for rows that have none of their own.
        ignored: Columns to pass over.
        keep: Whether all other columns become free tags.
    """

    fields: Sequence[Pair] = ()
    outcomes: Sequence[Pair] = ()
    values: Mapping[str, str] = {}
    ignored: Collection[str] = ()
    keep: bool = False


class ColumnMap:
    """
    Decides about each column, when it is first met.

    A column that was not asked for and has the name of a field is that field,
    unless another column is. All others are free tags, or unknown.

    Attributes:
        uses: Column -> what it is used for; nothing if it is passed over.
        kept: Columns that become free tags.
        unknown: Columns that nobody has said anything about.
        secret: Free tags that are called like a credential, which are not kept.

    Raises:
        ConfigurationError: What was asked for cannot be.
    """

    def __init__(self, asked: Asked) -> None:
        self.uses: dict[str, list[Use]] = {}
        self.kept: set[str] = set()
        self.unknown: list[str] = []
        self.secret: set[str] = set()
        self._asked = asked
        self._known: set[str] = set()
        fields = [(name, _field(name), column) for name, column in asked.fields]
        self._filled = {field.column for _, field, _ in fields}
        _refuse_twice([field.column for _, field, _ in fields], "fields are mapped")
        _refuse_twice([name for name, _ in asked.outcomes], "outcomes are mapped")
        _refuse_twice([_field(name).column for name in asked.values], "fields are set")
        self._wanted: dict[str, list[Use]] = {}
        for name, field, column in fields:
            self._wanted.setdefault(column, []).append(Use(name, field))
        for name, column in asked.outcomes:
            self._wanted.setdefault(column, []).append(Use(name, None))

    def learn(self, columns: Collection[str]) -> None:
        """
        Take note of the columns of a heading or a row.
        """
        if not (new := [name for name in columns if name not in self._known]):
            return
        self._known.update(new)
        # The record's own names come first: beside `cost_nanousd`, `cost_usd` says the same.
        for column in sorted(new, key=lambda name: name not in RECORD_FIELDS):
            self._decide(column)

    def check(self) -> None:
        """
        Refuse columns that are unknown, and what was asked for and is not there.

        Raises:
            ConfigurationError: There are such.
        """
        if missing := [name for name in self._wanted if name not in self._known]:
            raise ConfigurationError(
                f"there is no column {_listed(missing)}; there are {_listed(sorted(self._known))}"
            )
        if self.unknown:
            raise ConfigurationError(
                f"nothing is known of the columns {_listed(self.unknown)}; map each with --map "
                "FIELD=COLUMN or --outcome NAME=COLUMN, leave it out with --ignore COLUMN, or keep "
                "all of them as free tags with --keep"
            )
        given = {_field(name).column for name in self._asked.values}
        if self._known and "started_at_us" not in self._filled | given:
            raise ConfigurationError(
                "no column tells when the calls started; --map started_at=COLUMN, or give all of "
                "them the same time with --set started_at=TIME"
            )

    def _decide(self, column: str) -> None:
        wanted = self._wanted.get(column)
        if wanted is not None:
            self.uses[column] = wanted
        elif column in self._asked.ignored:
            self.uses[column] = []
        elif (field := FIELDS.get(column)) and field.column not in self._filled:
            self._filled.add(field.column)
            self.uses[column] = [Use(column, field)]
        elif not self._asked.keep:
            self.unknown.append(column)
        else:
            self.kept.add(column)


def read_value(name: str, field: Field, value: Any) -> Any:
    """
    Read a cell or an option's value.

    Raises:
        ValueError: It cannot be; the message names field and value.
    """
    try:
        return field.read(value)
    except ValueError as error:
        raise ValueError(f"{name}: {str(value)[:60]!r} {error}") from None


def _field(name: str) -> Field:
    field = FIELDS.get(name)
    if field is None:
        why = "tells of this trail, not of a log" if name in OWN_FIELDS else "is no field"
        raise ConfigurationError(f"{name!r} {why}; the fields are {', '.join(FIELDS)}")
    return field


def _refuse_twice(names: Sequence[str], told: str) -> None:
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ConfigurationError(f"{told} twice: {', '.join(twice)}")


def _listed(names: Collection[str]) -> str:
    shown = [repr(name[:60]) for name in list(names)[:40]]
    return ", ".join(shown) + (", ..." if len(names) > len(shown) else "")
