"""Persistent HTTP/1.1 connections, for bodies that are neither held nor hashed.

A connection is used again only after one whole, clean exchange. Whatever else ends an
exchange, an interrupt of the thread included, closes it: the server then sees a short
body and stores nothing.
"""

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from urllib3.util import wait_for_read

#: Smaller chunks of a body are joined up to this many bytes: fewer system calls.
WRITE_BYTES = 256 * 1024
#: A body of one piece is written in slices of this size, each under its own timeout.
SLICE_BYTES = 1024 * 1024
#: Seconds to wait for the reason of a server that closed in the middle of a body.
LAST_WORDS_TIMEOUT = 1.0


class ConnectionFailed(Exception):
    """The server could not be reached, fell silent, or closed before its answer was whole."""


class HttpPool:
    """Connections to any number of origins; safe for threads, one pool per process."""

    def __init__(
        self,
        connect_timeout: float = 3,
        read_timeout: float = 60,
        max_idle: int = 16,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Timeouts in seconds; `read_timeout` bounds every single read and write."""
        self._context = context or ssl.create_default_context()
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._max_idle = max_idle
        self._idle: dict[str, list[HTTPConnection]] = defaultdict(list)
        self._lock = threading.Lock()

    @contextmanager
    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        length: int = 0,
        read_timeout: float | None = None,
    ) -> Iterator[HTTPResponse]:
        """Sends a request and gives its answer, to be read inside the `with` block.

        `body` must have exactly `length` bytes (ValueError otherwise). What an iterable
        body raises goes through unchanged; the network's own errors are ConnectionFailed.
        """
        address = urlsplit(url)
        origin = f"{address.scheme}://{address.netloc}"
        connection = self._take(origin, address, read_timeout or self._read_timeout)
        clean = False
        try:
            response, sent_whole = _send(connection, method, address, headers or {}, body, length)
            try:
                yield response
            except (OSError, HTTPException) as error:
                raise ConnectionFailed(f"{origin}: {_reason(error)}") from error
            clean = sent_whole and response.isclosed() and not response.will_close
        finally:
            if not (clean and self._give_back(origin, connection)):
                connection.close()

    def close(self) -> None:
        """Closes the idle connections."""
        with self._lock:
            idle = [connection for kept in self._idle.values() for connection in kept]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _take(self, origin: str, address: SplitResult, read_timeout: float) -> HTTPConnection:
        while True:
            with self._lock:
                kept = self._idle[origin]
                connection = kept.pop() if kept else None
            if connection is None:
                connection = self._connect(origin, address)
            elif wait_for_read(connection.sock, timeout=0):
                # Readable although nothing was asked: the server has closed it.
                connection.close()
                continue
            connection.sock.settimeout(read_timeout)
            return connection

    def _connect(self, origin: str, address: SplitResult) -> HTTPConnection:
        host = address.hostname or ""
        connection = (
            HTTPSConnection(
                host,
                address.port,
                timeout=self._connect_timeout,
                context=self._context,
            )
            if address.scheme == "https"
            else HTTPConnection(host, address.port, timeout=self._connect_timeout)
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise ConnectionFailed(f"{origin}: {_reason(error)}") from error
        return connection

    def _give_back(self, origin: str, connection: HTTPConnection) -> bool:
        with self._lock:
            kept = self._idle[origin]
            if len(kept) >= self._max_idle:
                return False
            kept.append(connection)
            return True


def _send(
    connection: HTTPConnection,
    method: str,
    address: SplitResult,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes],
    length: int,
) -> tuple[HTTPResponse, bool]:
    """The answer, and whether the body was sent to its end."""
    origin = f"{address.scheme}://{address.netloc}"
    target = f"{address.path}?{address.query}" if address.query else address.path
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if method in ("PUT", "POST"):
            connection.putheader("Content-Length", str(length))
        connection.endheaders()
    except (OSError, HTTPException) as error:
        raise ConnectionFailed(f"{origin}: {_reason(error)}") from error
    refusal = _send_body(connection, body, length)
    if refusal is None:
        try:
            return connection.getresponse(), True
        except (OSError, HTTPException) as error:
            raise ConnectionFailed(f"{origin}: {_reason(error)}") from error
    # The server closed in the middle of the body: it may have said why.
    try:
        connection.sock.settimeout(LAST_WORDS_TIMEOUT)
        response = connection.getresponse()
    except (OSError, HTTPException):
        response = None
    if response is None or response.status < 400:
        raise ConnectionFailed(f"{origin}: {_reason(refusal)}") from refusal
    return response, False


def _send_body(
    connection: HTTPConnection, body: bytes | Iterable[bytes], length: int
) -> OSError | None:
    """Writes the body; returns the error of a server that stopped listening."""
    blocks: Iterator[bytes | memoryview] = (
        _slices(body) if isinstance(body, bytes) else _joined(body)
    )
    sent = 0
    block = next(blocks, None)
    while block is not None:
        # The last block waits for the end of the body: what a server has got as a whole it
        # stores.
        following = next(blocks, None)
        sent += len(block)
        if sent > length or (sent == length and following is not None):
            raise ValueError(f"the body is longer than the {length} bytes announced")
        try:
            connection.send(block)
        except OSError as error:
            return error
        block = following
    if sent < length:
        raise ValueError(f"the body ends after {sent} of {length} bytes announced")
    return None


def _slices(body: bytes) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(view), SLICE_BYTES):
        yield view[start : start + SLICE_BYTES]


def _joined(chunks: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= WRITE_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting.clear()
            size = 0
    if size:
        yield b"".join(waiting)


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
