"""
The widths of columns.
"""

from hypothesis import given
from hypothesis import strategies as st

from modeltrail.render.layout import GAP, LEAST_LABEL, Column, fit

COLUMNS = [
    Column("name", "label"),
    Column("model", "label", rank=2),
    Column("id", "text"),
    Column("tokens", rank=3),
    Column("cost"),
]
WIDEST = [20, 30, 5, 6, 10]


def test_table_that_fits_is_left_alone() -> None:
    """71 columns and 4 gaps of 2 fit into 79."""
    assert fit(COLUMNS, WIDEST, 79) == WIDEST
    assert fit(COLUMNS, WIDEST, None) == WIDEST


def test_widest_label_is_cut_first() -> None:
    """Labels share what is left: the wider one gives first."""
    assert fit(COLUMNS, WIDEST, 75) == [20, 26, 5, 6, 10]
    assert fit(COLUMNS, WIDEST, 61) == [16, 16, 5, 6, 10]


def test_least_important_columns_go_one_by_one() -> None:
    """Where cut labels do not help, the highest rank is left out first."""
    assert fit(COLUMNS, WIDEST, 45) == [8, 8, 5, 6, 10]
    assert fit(COLUMNS, WIDEST, 44) == [11, 11, 5, None, 10]
    assert fit(COLUMNS, WIDEST, 36) == [17, None, 5, None, 10]


def test_what_must_stay_stays() -> None:
    """A table too narrow for its numbers is wider than asked, never wrong."""
    assert fit(COLUMNS, WIDEST, 5) == [LEAST_LABEL, None, 5, None, 10]


@given(st.lists(st.integers(1, 200), min_size=5, max_size=5), st.integers(1, 300))
def test_numbers_are_never_cut(widest: list[int], width: int) -> None:
    """Whatever the widths, a number or text has all it needs or is not there."""
    widths = fit(COLUMNS, widest, width)
    for column, wanted, given_width in zip(COLUMNS, widest, widths, strict=True):
        if given_width is None:
            assert column.rank
        elif column.kind == "label":
            assert min(wanted, LEAST_LABEL) <= given_width <= wanted
        else:
            assert given_width == wanted
    kept = [each for each in widths if each is not None]
    if sum(kept) + GAP * (len(kept) - 1) > width:
        # Then all was tried: only what must stay is there, its label cut.
        assert widths[1] is widths[3] is None
        assert widths[0] == min(widest[0], LEAST_LABEL)
