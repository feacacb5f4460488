"""
Arithmetic on sums.
"""

import pytest

from modeltrail.report.cost import cost_per_thousand_calls, total
from modeltrail.storage import Group


def group(calls: int = 1, unpriced: int = 0, cost: int | None = 0, **more: int | None) -> Group:
    """Return a group."""
    given: dict[str, int | None] = {"errors": 0, "input_tokens": None, "output_tokens": None}
    return Group(key=(), calls=calls, unpriced=unpriced, cost_nanousd=cost, **given | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("calls", "unpriced", "cost", "expected"),
    [
        (4, 0, 1000, 250_000),
        (4, 2, 1000, 500_000),
        (3, 0, 1, 333),
        (3, 0, 2, 667),
        (16, 0, 1, 62),  # 62.5, half to even
        (16, 0, 3, 188),  # 187.5
        (5, 5, None, None),
        (2, 1, 0, 0),
        (3, 0, -1, -333),
        (1, 0, 2**60 + 1, (2**60 + 1) * 1000),
    ],
)
def test_cost_per_thousand_calls(
    calls: int, unpriced: int, cost: int | None, expected: int | None
) -> None:
    """Of the priced calls, rounded half to even, without floats."""
    assert cost_per_thousand_calls(group(calls, unpriced, cost)) == expected


def test_total_keeps_unknown_apart() -> None:
    """A sum knows what any group knows, and nothing where none does."""
    found = total([group(2, 1, 5, input_tokens=3), group(3, 3, None, errors=3)])
    assert found == Group((), 5, 3, 4, 3, None, 5)


def test_total_of_nothing_is_unknown() -> None:
    """No calls cost nothing that is known."""
    assert total([]) == Group((), 0, 0, 0, None, None, None)
