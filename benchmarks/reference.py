"""
The least that a handler which keeps metadata can do, twice.

The limit: a row of metadata is put into a queue, and one thread writes batches
of rows with raw sqlite3. No index, no digest, no price, no tags, no spool: what
is in the queue is lost with the process, and what has not ended was never there.

The durable limit: the same, but a line of JSON is appended to a file when a call
starts, and another when it ends, before the call goes on; the thread reads the
file. That much is what it takes to lose nothing when the process is killed.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from time import time_ns
from typing import Any
from uuid import uuid4

BATCH_ROWS = 512
# Nobody waits for a row; the thread wakes up this often for all that came.
LINGER_S = 0.05
FLUSH_TIMEOUT_S = 30
COLUMNS = (
    "id TEXT PRIMARY KEY",
    "run_id TEXT",
    "parent_id TEXT",
    "trace_id TEXT",
    "framework TEXT",
    "operation TEXT",
    "provider TEXT",
    "request_model TEXT",
    "response_model TEXT",
    "response_id TEXT",
    "started_at_ns INTEGER",
    "latency_ns INTEGER",
    "time_to_first_chunk_ns INTEGER",
    "streaming INTEGER",
    "input_tokens INTEGER",
    "output_tokens INTEGER",
    "cached_tokens INTEGER",
    "reasoning_tokens INTEGER",
    "cost_nanousd INTEGER",
    "status TEXT",
    "error_type TEXT",
    "finish_reason TEXT",
    "feature TEXT",
    "segment TEXT",
    "experiment TEXT",
    "variant TEXT",
    "user TEXT",
    "session TEXT",
    "environment TEXT",
    "input_chars INTEGER",
    "output_chars INTEGER",
)
CREATE = f"CREATE TABLE call ({', '.join(COLUMNS)})"
INSERT = f"INSERT INTO call VALUES ({', '.join('?' * len(COLUMNS))})"

Row = tuple[Any, ...]


def metadata_row(
    framework: str,
    run_id: object,
    started_at_ns: int,
    *,
    models: tuple[str | None, str | None],
    tokens: tuple[int | None, int | None],
    chars: tuple[int, int],
    metadata: Mapping[str, Any],
    finish_reason: str | None = None,
    first_chunk_ns: int | None = None,
) -> Row:
    """
    Return the row of a call that has just ended well.

    Args:
        models: Asked for, and answering.
        tokens: In and out, as are `chars`.
    """
    return (
        uuid4().hex,
        str(run_id),
        None,
        None,
        framework,
        "chat",
        "openai",
        *models,
        None,
        started_at_ns,
        time_ns() - started_at_ns,
        first_chunk_ns,
        first_chunk_ns is not None,
        *tokens,
        None,
        None,
        None,
        "ok",
        None,
        finish_reason,
        metadata.get("feature"),
        None,
        None,
        metadata.get("variant"),
        None,
        None,
        None,
        *chars,
    )


class Limit:
    """
    The queue and its thread.

    Attributes:
        put: Takes a row, from any thread.
        stored: How many rows are in the database.
    """

    thread = "limit-writer"

    def __init__(self, path: Path) -> None:
        self._queue: SimpleQueue[Row | threading.Event] = SimpleQueue()
        self._wake = threading.Event()
        self.put = self._queue.put
        self.stored = 0
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(CREATE)
        threading.Thread(target=self._run, name=self.thread, daemon=True).start()

    def flush(self) -> None:
        """
        Wait until all that was put before is stored.
        """
        done = threading.Event()
        self._queue.put(done)
        self._wake.set()
        if not done.wait(FLUSH_TIMEOUT_S):
            raise TimeoutError("the reference does not write")

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            self._wake.wait(LINGER_S)
            self._wake.clear()
            self._write(first)

    def _write(self, first: Row | threading.Event) -> None:
        batch = [first]
        while len(batch) < BATCH_ROWS and (item := self._next()) is not None:
            batch.append(item)
        rows = [each for each in batch if isinstance(each, tuple)]
        done = [each for each in batch if isinstance(each, threading.Event)]
        self._store(rows)
        for each in done:
            each.set()

    def _store(self, rows: Sequence[Row]) -> None:
        if rows:
            with self._connection:
                self._connection.executemany(INSERT, rows)
            self.stored += len(rows)

    def _next(self) -> Row | threading.Event | None:
        try:
            return self._queue.get_nowait()
        except Empty:
            return None


class DurableLimit(Limit):
    """
    A file in place of the queue.

    Attributes:
        begin: Appends what is known of a call when it starts.
        put: Appends a row.
    """

    thread = "durable-limit-writer"

    def __init__(self, path: Path) -> None:
        self._lines = path.with_suffix(".jsonl").open("x+b", buffering=0)
        self._appended = os.open(self._lines.name, os.O_APPEND | os.O_WRONLY)
        self._encode = json.JSONEncoder(separators=(",", ":")).encode
        super().__init__(path)
        self.put = self.begin = self._append

    def _append(self, row: Row) -> None:
        os.write(self._appended, (self._encode(row) + "\n").encode())

    def _run(self) -> None:
        half = b""
        while True:
            self._wake.wait(LINGER_S)
            self._wake.clear()
            done = []
            while (each := self._next()) is not None:
                done.append(each)
            # The last may be one that is being appended.
            *whole, half = (half + self._lines.read()).split(b"\n")
            lines = [json.loads(line) for line in whole]
            self._store([line for line in lines if len(line) == len(COLUMNS)])
            for each in done:
                each.set()  # type: ignore[union-attr]
