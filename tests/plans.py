"""
No query of SQLite compares each row of one table with each of another.

SQLite plans a query without knowing how many rows there are: what takes a moment in a test
takes hours in a trail of a million calls. So its plan is looked at.
"""

import sqlite3
from collections import defaultdict
from typing import Any

from sqlalchemy import Engine, event

Plan = list[tuple[int, int, int, str]]

# A table in memory that a query makes of a JSON text is as long as that text.
SHORT = ("SCAN CONSTANT ROW", "VIRTUAL TABLE")


class PlanWatch:
    """
    Looks at the plan of each statement that SQLAlchemy sends to SQLite, once.

    Attributes:
        quadratic: Statements that read all of a table again for each row of another.
    """

    def __init__(self) -> None:
        self.quadratic: list[str] = []
        self._seen: set[str] = set()

    def watch(self) -> None:
        """
        Listen from now on, to all engines.
        """
        event.listen(Engine, "before_cursor_execute", self._look)

    def _look(
        self, connection: Any, cursor: Any, statement: str, parameters: Any, _: Any, many: bool
    ) -> None:
        is_read = statement.lstrip().upper().startswith(("SELECT", "WITH"))
        if many or not is_read or connection.dialect.name != "sqlite" or statement in self._seen:
            return
        try:
            plan = plan_of(cursor.connection, statement, parameters)
        except sqlite3.Error:  # the statement itself will meet it
            return
        self._seen.add(statement)
        if is_quadratic(plan):
            steps = "\n".join(step for *_, step in plan)
            self.quadratic.append(f"{statement}\n{steps}")


def plan_of(connection: sqlite3.Connection, statement: str, parameters: Any = ()) -> Plan:
    """
    Return how SQLite would execute a statement.
    """
    return connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()


def is_quadratic(plan: Plan) -> bool:
    """
    Tell whether a plan has a loop over all rows within another one.
    """
    loops: dict[int, int] = defaultdict(int)
    for _, parent, _, step in plan:
        if step.startswith("SCAN") and not any(each in step for each in SHORT):
            loops[parent] += 1
    return any(count > 1 for count in loops.values())
