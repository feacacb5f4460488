"""
Calls from somebody else's log: rows of a file to records of a trail.

Pure but for the keys and prices that it is given. A row is read as a whole or
not at all.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from modeltrail.capture import names_secret
from modeltrail.interop.call_fields import FIELDS, as_json, number, storable_json, uuid_of
from modeltrail.interop.column_map import ColumnMap, Use, read_value
from modeltrail.interop.lines import BadRowError
from modeltrail.pipeline import scrub
from modeltrail.plain import TAGS_LIMIT_BYTES
from modeltrail.prices import NO_BOOK, PriceBook, cost_of
from modeltrail.record import CallRecord

FRAMEWORK = "import"
UNKNOWN_VERSION = "unknown"
# Canonical JSON carries integers exactly up to here.
MOST_MICROS = 2**53
# So many texts of a column are read but once.
_REMEMBERED = 4_096
_UNREAD = object()

OutcomeOf = Literal["call", "unit"]


class Outcome(NamedTuple):
    """
    One outcome of a row: a row of the table `outcome`.
    """

    id: str
    at_us: int
    name: str
    value_micros: int
    call_id: str | None = None
    trace_id: str | None = None
    session_ref: str | None = None
    unit_ref: str | None = None


class Imported(NamedTuple):
    """
    What a row says.
    """

    record: CallRecord
    outcomes: tuple[Outcome, ...]


class Settings(NamedTuple):
    """
    What holds for all rows.

    Attributes:
        values: Column of the record -> a value for rows that have none.
        ref: Returns the reference of a person.
        origin: Names the import; the line is added to it.
        framework: What made the calls, and its version.
        outcome_of: What outcomes belong to.
    """

    values: Mapping[str, Any]
    ref: Callable[[str], str]
    origin: str
    framework: str = FRAMEWORK
    framework_version: str = UNKNOWN_VERSION
    outcome_of: OutcomeOf = "call"
    book: PriceBook = NO_BOOK


class CallReader:
    """
    Reads the rows of one file, in their order.

    It remembers of each row a number, about 80 bytes: equal rows are calls of
    their own, told apart by how many came before.
    """

    def __init__(self, columns: ColumnMap, settings: Settings) -> None:
        self._columns = columns
        self._settings = settings
        self._seen: set[int] = set()
        self._repeated: dict[int, int] = {}
        # What the texts of a column became: names, models and people come again and again.
        self._uses: dict[str, list[tuple[Use, dict[str, Any]]]] = {}

    def read(self, line: int, cells: Mapping[str, Any]) -> Imported:
        """
        Return the call of a row.

        Raises:
            BadRowError: It is none.
        """
        self._columns.learn(cells.keys())
        given = {name: value for name, value in cells.items() if value not in (None, "")}
        try:
            return self._imported(line, given)
        except BadRowError:
            raise
        except msgspec.ValidationError as error:
            raise BadRowError(str(error).replace("`$.", "`")) from None
        except (ValueError, RecursionError) as error:
            raise BadRowError(str(error)) from None

    def _imported(self, line: int, given: Mapping[str, Any]) -> Imported:
        columns, outcomes = self._used(given)
        _complete(columns, self._settings)
        self._add_tags(columns, given)
        mark = self._identify(columns, given)
        columns["origin"] = f"{self._settings.origin}:{line}"
        scrub(None, "", columns)
        # Before it is priced, so that prices are asked for nothing that is no call, and after it.
        msgspec.convert(columns, CallRecord)
        _price(columns, self._settings.book)
        record = msgspec.convert(columns, CallRecord)
        found = tuple(self._outcome(record, *each) for each in outcomes.items())
        # Not before: a row that is none of its own is none that others repeat.
        self._remember(mark)
        return Imported(record, found)

    def _used(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
        columns, outcomes = dict(self._settings.values), {}
        for name, value in given.items():
            for use, known in self._uses_of(name):
                # Only texts: to a dict True and 1 are the same.
                is_text = type(value) is str
                found: Any = known.get(value, _UNREAD) if is_text else _UNREAD
                if found is _UNREAD:
                    found = self._read(use, value)
                    if is_text and len(known) < _REMEMBERED:
                        known[value] = found
                if use.field is None:
                    outcomes[use.name] = found
                elif found is not None:
                    columns[use.field.column] = found
        return columns, outcomes

    def _uses_of(self, name: str) -> "list[tuple[Use, dict[str, Any]]]":
        if (found := self._uses.get(name)) is None:
            found = self._uses[name] = [(use, {}) for use in self._columns.uses.get(name, ())]
        return found

    def _read(self, use: Use, value: Any) -> Any:
        if use.field is None:
            return micros(use.name, value)
        read = read_value(use.name, use.field, value)
        return self._settings.ref(read) if use.field.is_person else read

    def _add_tags(self, columns: dict[str, Any], given: Mapping[str, Any]) -> None:
        kept = {name: given[name] for name in given.keys() & self._columns.kept}
        tags = kept | columns.pop("tags", {})
        self._columns.secret.update(secret := set(filter(names_secret, tags)))
        if not tags.keys() - secret:
            return
        text = storable_json({name: value for name, value in tags.items() if name not in secret})
        if len(text.encode("utf-8", "replace")) > TAGS_LIMIT_BYTES:
            raise BadRowError(
                f"tags: more than {TAGS_LIMIT_BYTES} bytes; leave columns out with --ignore"
            )
        columns["tags"] = text

    def _identify(self, columns: dict[str, Any], given: Mapping[str, Any]) -> int:
        """
        Give a row its id, and return what it is remembered by.
        """
        if (id := columns.get("id")) is not None:
            mark = int(id.replace("-", ""), 16)
            if mark in self._seen:
                raise BadRowError("its id is that of a row before it")
            return mark
        # The time may come from an option: the same rows of another month are other calls.
        said = as_json([columns["started_at_us"], given]).encode("utf-8", "surrogatepass")
        content = hashlib.sha256(said).hexdigest()
        mark = int(content[:32], 16)
        before = self._repeated.get(mark, 1) if mark in self._seen else 0
        columns["id"] = uuid_of(f"row:{content}:{before}")
        return mark

    def _remember(self, mark: int) -> None:
        if mark in self._seen:
            self._repeated[mark] = self._repeated.get(mark, 1) + 1
        self._seen.add(mark)

    def _outcome(self, record: CallRecord, name: str, value: int) -> Outcome:
        of_unit = self._settings.outcome_of == "unit"
        if of_unit and record.unit_ref is None:
            raise BadRowError(f"{name} is an outcome of a unit, and the row has none")
        return Outcome(
            id=uuid_of(f"outcome:{record.id}:{name}"),
            at_us=record.started_at_us + (record.latency_us or 0),
            name=name,
            value_micros=value,
            call_id=None if of_unit else record.id,
            unit_ref=record.unit_ref if of_unit else None,
        )


def values_of(given: Mapping[str, str], ref: Callable[[str], str]) -> dict[str, Any]:
    """
    Read the values that hold for all rows.

    Raises:
        ValueError: One of them does not fit its field.
    """
    read = {name: read_value(name, FIELDS[name], value) for name, value in given.items()}
    return {
        FIELDS[name].column: ref(value) if FIELDS[name].is_person else value
        for name, value in read.items()
    }


def _complete(columns: dict[str, Any], settings: Settings) -> None:
    """
    Fill in what follows from the rest of a row, or from its being in such a log.
    """
    if "started_at_us" not in columns:
        raise BadRowError("started_at: the row does not tell when the call started")
    has_failed = "error_type" in columns or "error_code" in columns
    has_usage = "input_tokens" in columns or "output_tokens" in columns
    has_digest = any(f"{name}_digest" in columns for name in ("input", "output", "prompt"))
    for name, value in {
        "operation": "chat",
        "status": "error" if has_failed else "ok",
        "usage_source": "provider" if has_usage else "missing",
        "capture_mode": "digest" if has_digest else "metadata",
        "framework": settings.framework,
        "framework_version": settings.framework_version,
    }.items():
        columns.setdefault(name, value)


def _price(columns: dict[str, Any], book: PriceBook) -> None:
    """
    Take a cost as it is given, else price the call as any other.
    """
    if (given := columns.get("cost_nanousd")) is None:
        cost = cost_of(columns, book)
        columns.update(cost_nanousd=cost.nanousd, cost_source=cost.source, price_id=cost.price_id)
    elif columns.get("cost_source", "none") in {"none", "reported"}:
        columns["cost_source"] = "reported"
        columns.setdefault("cost_reported_nanousd", given)


def micros(name: str, value: object) -> int:
    """
    Read the value of an outcome, in millionths.

    Raises:
        ValueError: It is no number, or too large.
    """
    flags = {True: 1, False: 0, "true": 1, "false": 0, "True": 1, "False": 0}
    plain = flags.get(value, value) if isinstance(value, bool | str) else value
    try:
        found = number(plain, shift=6)
    except ValueError as error:
        raise ValueError(f"{name}: {str(value)[:60]!r} {error}") from None
    if abs(found) > MOST_MICROS:
        raise ValueError(f"{name}: {str(value)[:60]!r} is too large")
    return found
