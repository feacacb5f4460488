"""
Whether the watch over plans sees what it is for.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.plans import is_quadratic, plan_of

FEW = "SELECT DISTINCT y FROM b WHERE x = 'one'"


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """
    Make a database of two tables, one of which has an index.
    """
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(
            "CREATE TABLE a (x TEXT, y TEXT); CREATE TABLE b (x TEXT, y TEXT);"
            "CREATE INDEX b_x ON b (x)"
        )
        yield opened


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT * FROM a", False),
        ("SELECT * FROM a JOIN b ON a.x = b.x", False),
        ("SELECT * FROM a JOIN b ON a.y < b.y", True),
        ("SELECT * FROM a WHERE x IN (SELECT y FROM b)", False),
        ("SELECT * FROM a JOIN json_each(a.y) AS part", False),
        # What SQLite makes of two lots that are found by an index: it takes both for few.
        (f"SELECT * FROM ({FEW}) AS p JOIN ({FEW}) AS q ON p.y = q.y", True),
    ],
)
def test_loops_within_loops_are_seen(
    connection: sqlite3.Connection, query: str, found: bool
) -> None:
    """
    A plan is quadratic if it reads all of a table for each row of another.
    """
    assert is_quadratic(plan_of(connection, query)) is found
