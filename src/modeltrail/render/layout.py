"""
How wide the columns of a table are: numbers are never cut, only labels are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

GAP = 2
LEAST_LABEL = 8


@dataclass(frozen=True, slots=True)
class Column:
    """
    A column of a table.

    Attributes:
        title: Its heading.
        kind: A `number` stands to the right, a `text` to the left; neither is
            ever cut. A `label` may be.
        rank: Where a table does not fit, the column with the highest rank is
            left out first; one of rank 0 never is.
    """

    title: str
    kind: Literal["number", "text", "label"] = "number"
    rank: int = 0


def fit(columns: Sequence[Column], widest: Sequence[int], width: int | None) -> list[int | None]:
    """
    Give each column its width, None to one that is left out.

    Args:
        widest: How wide each column would like to be.
        width: How much there is in all; None if there is no limit. A table
            that cannot be made narrow enough stays too wide.
    """
    widths: list[int | None] = list(widest)
    if width is None:
        return widths
    while _total(_cut(columns, widths, LEAST_LABEL)) > width:
        place = _least_important(columns, widths)
        if not columns[place].rank:
            break
        widths[place] = None
    for most in range(width, LEAST_LABEL, -1):
        if _total(cut := _cut(columns, widths, most)) <= width:
            return cut
    return _cut(columns, widths, LEAST_LABEL)


def _cut(columns: Sequence[Column], widths: Sequence[int | None], most: int) -> list[int | None]:
    return [
        min(each, most) if each is not None and column.kind == "label" else each
        for column, each in zip(columns, widths, strict=True)
    ]


def _total(widths: Sequence[int | None]) -> int:
    kept = [each for each in widths if each is not None]
    return sum(kept) + GAP * (len(kept) - 1)


def _least_important(columns: Sequence[Column], widths: Sequence[int | None]) -> int:
    kept = [place for place, each in enumerate(widths) if each is not None]
    return max(kept, key=lambda place: columns[place].rank)
