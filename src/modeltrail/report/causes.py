"""
Why the trail and a provider's export differ: a table of causes, decided by the figures.

The first that fits is named. It is a likely cause, not a proof: the figures of
a retry inside a client, for example, are those of calls that another program
made with the same key.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple


class Figures(NamedTuple):
    """
    What one side counts; None where the export does not tell it, so that it is not compared.
    """

    requests: int | None = None
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanousd: int | None = None


TOKENS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
MEASURES = Figures._fields


class Pair(NamedTuple):
    """
    Both sides of one bucket, and what explains a difference.

    Attributes:
        trail: Sums of what is known.
        calls: Calls of the trail.
        failed: Those of them that ended with an error and without usage; they
            are no requests in `trail`.
        unmetered: Calls whose tokens are not known, the failed among them.
        unpriced: Calls with tokens and no cost.
        batch: What of `export` came through the batch interface.
        knows_model: The trail has calls of this model at some time.
        knows_key: The trail has calls of this key at some time.
        has_model: The row is of one model.
    """

    trail: Figures
    export: Figures
    calls: int = 0
    failed: int = 0
    unmetered: int = 0
    unpriced: int = 0
    batch: Figures = Figures()
    knows_model: bool = True
    knows_key: bool = True
    has_model: bool = True


class Case(NamedTuple):
    """
    A pair that differs, those before and after it, and what counts as equal.
    """

    pair: Pair
    before: Pair | None
    after: Pair | None
    tolerance: Fraction

    def near(self, one: int | None, other: int | None) -> bool:
        """
        Tell whether two figures agree within the tolerance of the larger one.
        """
        return near(one, other, self.tolerance)

    def same(self, one: Figures, other: Figures, measures: Iterable[str]) -> bool:
        """
        Tell whether all of some figures agree.
        """
        return all(self.near(getattr(one, name), getattr(other, name)) for name in measures)


def near(one: int | None, other: int | None, tolerance: Fraction) -> bool:
    """
    Tell whether two figures agree within the tolerance of the larger one; unknown ones do.
    """
    if one is None or other is None:
        return True
    return abs(one - other) <= tolerance * max(abs(one), abs(other))


def agrees(pair: Pair, tolerance: Fraction) -> bool:
    """
    Tell whether all that both sides tell is equal, within the tolerance.
    """
    return Case(pair, None, None, tolerance).same(pair.trail, pair.export, MEASURES)


def _minus(one: Figures, other: Figures) -> Figures:
    return Figures(
        *(
            None if left is None or right is None else left - right
            for left, right in zip(one, other, strict=True)
        )
    )


def _any(figures: Figures, measures: Sequence[str]) -> bool:
    return any(getattr(figures, name) for name in measures)


def _elsewhen(case: Case) -> bool:
    neighbours = [each for each in (case.before, case.after) if each is not None]
    return any(_reversed(case, each) or _moved(case, each) for each in neighbours)


def _reversed(case: Case, neighbour: Pair) -> bool:
    mine = _minus(case.pair.export, case.pair.trail)
    theirs = _minus(neighbour.trail, neighbour.export)
    return _any(mine, TOKENS) and case.same(mine, theirs, ("requests", *TOKENS))


def _moved(case: Case, neighbour: Pair) -> bool:
    if agrees(neighbour, case.tolerance):
        return False
    return any(
        _any(one, TOKENS) and case.same(one, other, ("requests", *TOKENS))
        for one, other in (
            (case.pair.export, neighbour.trail),
            (case.pair.trail, neighbour.export),
        )
    )


def _batch(case: Case) -> bool:
    pair = case.pair
    rest = _minus(pair.export, pair.batch)
    return _any(pair.batch, TOKENS) and case.same(rest, pair.trail, ("requests", *TOKENS))


def _no_tokens(case: Case) -> bool:
    pair = case.pair
    return not pair.has_model and not pair.calls and not _any(pair.export, TOKENS)


def _unknown_key(case: Case) -> bool:
    return not case.pair.knows_key


def _unknown_model(case: Case) -> bool:
    return not case.pair.knows_model


def _cached(case: Case) -> bool:
    trail, export = case.pair.trail, case.pair.export
    if trail.input_tokens is None or not case.same(trail, export, ("requests", "output_tokens")):
        return False
    if case.near(trail.input_tokens, export.input_tokens):
        return not case.same(trail, export, TOKENS)
    less, more = sorted((trail.input_tokens, export.input_tokens or 0))
    return any(case.near(less + cached, more) for cached in _cached_counts(trail, export))


def _cached_counts(*sides: Figures) -> set[int]:
    read = {side.cache_read_input_tokens or 0 for side in sides}
    both = {
        (side.cache_read_input_tokens or 0) + (side.cache_creation_input_tokens or 0)
        for side in sides
    }
    return (read | both) - {0}


def _no_usage(case: Case) -> bool:
    pair = case.pair
    if not pair.unmetered or not _export_has_more(case):
        return False
    requests, known = pair.export.requests, pair.trail.requests
    if requests is None or known is None:
        return True
    return requests <= known + pair.failed or case.near(requests, known)


def _export_has_more(case: Case) -> bool:
    gaps = [
        0 if case.near(theirs, ours) else theirs - ours
        for ours, theirs in zip(case.pair.trail, case.pair.export, strict=True)
        if ours is not None and theirs is not None
    ]
    return min(gaps, default=0) >= 0 and max(gaps, default=0) > 0


def _retries(case: Case) -> bool:
    trail, export = case.pair.trail, case.pair.export
    if not trail.requests or not export.requests or export.requests <= trail.requests:
        return False
    each_alike = all(
        case.near(mine * export.requests, theirs * trail.requests)
        for mine, theirs in (
            (trail.input_tokens or 0, export.input_tokens or 0),
            (trail.output_tokens or 0, export.output_tokens or 0),
        )
    )
    return each_alike and not case.pair.unmetered


def _calls_missing(case: Case) -> bool:
    pair = case.pair
    if not _export_has_more(case):
        return False
    if pair.export.requests is not None and pair.trail.requests is not None:
        return pair.export.requests > pair.trail.requests
    return not pair.calls or not case.same(pair.trail, pair.export, TOKENS)


def _not_in_export(case: Case) -> bool:
    return case.pair.calls > 0 and not any(case.pair.export)


def _unpriced(case: Case) -> bool:
    return case.pair.unpriced > 0 and case.same(case.pair.trail, case.pair.export, TOKENS)


def _price(case: Case) -> bool:
    trail, export = case.pair.trail, case.pair.export
    return (
        export.input_tokens is not None
        and case.same(trail, export, TOKENS)
        and not case.near(trail.cost_nanousd, export.cost_nanousd)
    )


class Cause(NamedTuple):
    """
    A cause, how it is told, and when it is one.
    """

    name: str
    meaning: str
    fits: Callable[[Case], bool]


# In the order in which they are asked.
CAUSES = (
    Cause(
        "other-bucket",
        "the same figures stand in the bucket before or after: a clock that is off, or calls at "
        "the edge of a bucket",
        _elsewhen,
    ),
    Cause("batch", "the provider's batch interface, which the trail does not see", _batch),
    Cause(
        "no-tokens",
        "a cost that is no model's, such as searches or code execution",
        _no_tokens,
    ),
    Cause("unknown-key", "the trail has no call of this key: it is not instrumented", _unknown_key),
    Cause(
        "unknown-model",
        "the trail has no call of this model: it is not instrumented, or named otherwise",
        _unknown_model,
    ),
    Cause("cached-tokens", "one side counts cached tokens that the other does not", _cached),
    Cause(
        "no-usage",
        "the trail has calls without usage: streams that were left or do not report it, time-outs",
        _no_usage,
    ),
    Cause(
        "retries",
        "the provider has more requests of the same size: retries inside the client "
        "(`max_retries`), or another program with the same key",
        _retries,
    ),
    Cause("missing-calls", "the provider has calls that the trail lacks", _calls_missing),
    Cause(
        "not-in-export",
        "the provider has none of the trail's calls: another account or endpoint, or an export "
        "that was filtered",
        _not_in_export,
    ),
    Cause("no-price", "the trail has calls without a price", _unpriced),
    Cause("price", "the tokens agree, the dollars do not: another price", _price),
)
NOTHING_FOUND = "nothing-found"


def likely_cause(case: Case) -> str:
    """
    Return the name of the first cause that fits.
    """
    return next((cause.name for cause in CAUSES if cause.fits(case)), NOTHING_FOUND)
