"""
What receives in place of the peers' servers: takes all, answers at once, forgets nothing.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.peers.delivered import Delivery, calls_in

QUIET_S = 0.3
# What LangSmith's client asks before it sends. Compression is off: not every Python can undo it.
LANGSMITH = {
    "version": "0.12.0",
    "instance_flags": {"zstd_compression_enabled": False},
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
    },
}
ANSWERS = {"/info": LANGSMITH, "/is-alive/ver": {"version": "2.0.0"}}


class Sink(ThreadingHTTPServer):
    """
    Counts the calls that were delivered to it since it was last emptied.
    """

    request_queue_size = 512
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self._lock = threading.Lock()
        self._calls: set[str] = set()
        self._heard = time.monotonic()
        self.unread: dict[str, int] = {}

    @property
    def url(self) -> str:
        """
        Where it listens.
        """
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, delivery: Delivery) -> None:
        """
        Count what a request has delivered.
        """
        calls = set(calls_in(delivery))
        with self._lock:
            self._heard = time.monotonic()
            self._calls |= calls
            if not calls:
                self.unread[delivery.path] = self.unread.get(delivery.path, 0) + 1

    def empty(self) -> None:
        """
        Forget what was delivered.
        """
        with self._lock:
            self._calls.clear()
            self.unread.clear()

    def count(self) -> int:
        """
        Return how many calls were delivered, each counted once.
        """
        with self._lock:
            return len(self._calls)

    def settle(self) -> None:
        """
        Wait until nothing more comes.
        """
        while time.monotonic() - self._heard < QUIET_S:
            time.sleep(QUIET_S / 6)


class Receiver(BaseHTTPRequestHandler):
    """
    One connection.
    """

    protocol_version = "HTTP/1.1"
    # A head and a body in two packets, and a client that waits before it acknowledges the first.
    disable_nagle_algorithm = True
    server: Sink

    def do_POST(self) -> None:
        """Take what was sent, and thank for it."""
        kind = self.headers.get("content-type", "")
        encoding = self.headers.get("content-encoding", "")
        self.server.take(Delivery(self.path, kind, encoding, self._body()))
        self._answer({} if "protobuf" not in kind else None)

    do_PUT = do_PATCH = do_POST  # noqa: N815 - the names that the base class looks for

    def do_GET(self) -> None:
        """Answer what is asked before anything is sent."""
        found = (answer for path, answer in ANSWERS.items() if self.path.endswith(path))
        self._answer(next(found, {}))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, answer: object) -> None:
        body = b"" if answer is None else json.dumps(answer).encode()
        kind = "application/x-protobuf" if answer is None else "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", ""):
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


@contextmanager
def listening() -> Iterator[Sink]:
    """
    Listen on a free port of this machine, and of no other.
    """
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, name="sink", daemon=True).start()
        yield sink
        sink.shutdown()
