"""
HTTP/1.1 on 127.0.0.1: one thread per connection, each known by its handle so that it can be ended.

It carries bytes and knows no protocol above HTTP.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

STOP_SECONDS = 2.0
LONGEST_PAUSE = 86_400.0
LONGEST_LINE = 65_536


class Connection(BaseHTTPRequestHandler):
    """
    One client connection, over which requests come one after the other.
    """

    protocol_version = "HTTP/1.1"
    server_version = "LocalProvider"
    sys_version = ""
    # An event must leave when it is written, not when the kernel has gathered a full packet.
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        self.server.serve(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """
        Stay silent: the request log is the log.
        """

    @property
    def route(self) -> tuple[str, str]:
        """
        Method and path, without query.
        """
        return self.command, self.path.partition("?")[0]

    @property
    def lower_headers(self) -> dict[str, str]:
        """
        The request headers with lower-cased names.
        """
        return {name.lower(): value for name, value in self.headers.items()}

    def read_body(self) -> bytes | None:
        """
        Read the request body, of a given length or in chunks.

        Returns:
            The bytes, or ``None`` if the request does not say properly how long it is.
        """
        try:
            if "transfer-encoding" in self.headers:
                return b"".join(self._read_chunks())
            # The leading zero makes a sign an error: read(-1) would wait for the client's end.
            return self.rfile.read(int("0" + self.headers.get("content-length", "")))
        except ValueError:
            # What follows cannot be told from a next request.
            self.close_connection = True
            return None

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(b"0" + self.rfile.readline(LONGEST_LINE).partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline(LONGEST_LINE)
        while self.rfile.readline(LONGEST_LINE).strip():
            pass  # Trailers mean nothing here.

    def send_body(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """
        Send a whole response.

        Args:
            status: The HTTP status.
            headers: Headers beside the length; without a content type it is JSON.
            body: The body.
        """
        own = {"content-type": "application/json", "content-length": str(len(body))}
        self._send_head(status, own | dict(headers))
        self.wfile.write(body)

    def start_stream(self, headers: Mapping[str, str]) -> None:
        """
        Send the head of a stream of events.

        Args:
            headers: Headers beside content type and transfer encoding.
        """
        own = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
        self._send_head(200, own | dict(headers))

    def send_chunk(self, data: bytes, *, last: bool = False) -> None:
        """
        Send one chunk of a stream at once.

        Args:
            data: The bytes of the chunk.
            last: Whether the stream ends with it.
        """
        chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        # In one write: a client that hangs up once it has read the last event has read it all.
        self.wfile.write(chunk + (b"0\r\n\r\n" if last else b""))

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()

    def pause(self, seconds: float) -> None:
        """
        Wait, but no longer than the client does.

        Args:
            seconds: How long; 0 only looks whether the client is still there.

        Raises:
            ConnectionError: The client has gone, or the server stops.
        """
        # Peeking wakes on the client's end as well as on a socket shut down by stop(), without
        # a selector or an event per connection. (A client that sends its next request before it
        # has read this answer cuts the pause short; none of the common ones does.)
        self.connection.settimeout(min(seconds, LONGEST_PAUSE))
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError
        except (BlockingIOError, TimeoutError):
            return
        finally:
            self.connection.settimeout(None)

    def reset(self) -> None:
        """
        Reset the connection, as a crashed server or an impatient proxy does.
        """
        self.close_connection = True
        # Lingering for zero seconds makes closing send RST; detaching keeps the base class from
        # saying goodbye properly first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(self.connection.detach())


class Server(socketserver.TCPServer):
    """
    Accept connections and end them again.

    Args:
        serve: Called once per request, on the thread of its connection.
    """

    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, serve: Callable[[Connection], None]) -> None:
        """
        Listen on a free port of 127.0.0.1.
        """
        self.serve = serve
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", 0), Connection)
        self._acceptor = self._thread(self.serve_forever, 0.05)

    @property
    def port(self) -> int:
        """
        The port that is listened on.
        """
        return int(self.server_address[1])

    def start(self) -> None:
        """
        Begin to accept connections.
        """
        self._acceptor.start()

    def stop(self) -> None:
        """
        End the listening socket, every connection and every thread.
        """
        deadline = time.monotonic() + STOP_SECONDS
        self.shutdown()
        self._acceptor.join()
        self.server_close()
        with self._lock:
            remaining = list(self._open.items())
        for _, connection in remaining:
            self._wake(connection)
        for thread, _ in remaining:
            # A thread held up by the user's own callable is left behind: it is a daemon.
            thread.join(max(0.0, deadline - time.monotonic()))

    @staticmethod
    def _wake(connection: socket.socket) -> None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It has ended by itself.

    @staticmethod
    def _thread(target: Callable[..., None], *args: object) -> threading.Thread:
        return threading.Thread(
            target=target, args=args, name="modeltrail-local-provider", daemon=True
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        """
        Give a new connection its thread.
        """
        thread = self._thread(self._converse, request, client_address)
        # Under the lock, so that the thread cannot sign off before it is signed on.
        with self._lock:
            thread.start()
            self._open[thread] = request

    def _converse(self, request: socket.socket, client_address: object) -> None:
        try:
            self.finish_request(request, client_address)
        except ConnectionError:
            pass  # The client left between two requests: nothing was in flight.
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            with self._lock:
                del self._open[threading.current_thread()]
