"""Connections of clients that say nothing, too much or nonsense: bounded in time, bytes and number.

A request's line and headers are to come in time and to have some KiB; what uvicorn would answer
in plain text, or not at all, gets the API's own error body and request id.
"""

import asyncio
import logging
import resource
import uuid
from asyncio import TimerHandle
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any

import orjson
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway import dialects, errors
from gateway.config import Patience
from gateway.errors import Problem

logger = logging.getLogger(__name__)

#: Bytes of a request's target: names of 100 characters, percent-encoded, need a third of it.
MAX_TARGET = 8 * 1024
#: Bytes of a request's line and headers.
MAX_HEAD = 64 * 1024
#: Requests of a connection that may stand in line behind the one that is answered.
MAX_PIPELINE = 100
#: Bytes on the wire for each byte of a body, which may come in chunks of a byte.
_WIRE_OVERHEAD = 8
#: Connections that are accepted at once. Each is made, and may be given up for the next ones,
#: before more are accepted: asyncio would else take as many files as there are.
AT_ONCE = 32
#: Refused connections whose clients may still read why; further ones are cut off.
_LEAVING = 2 * AT_ONCE
#: Connections at most, whatever the process may open; half of its files are for others.
_MOST = 8_192


def room() -> int:
    """How many connections of clients the files that this process may open leave room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST
    return max(files // 4, min(_MOST, files // 2 - _LEAVING - AT_ONCE))


def protocol(most: int, max_body_bytes: int, patience: Patience) -> type[HttpToolsProtocol]:
    """The protocol of a server that keeps at most so many connections, and takes bodies of at most
    so many bytes.

    Where all are taken, the one that has been idle for longest makes room for a new one; where
    none is idle, the new one is told to come back (503).
    """

    class Connection(_Connection):
        """A connection of this server."""

    Connection.most = most
    Connection.max_wire_bytes = _WIRE_OVERHEAD * max_body_bytes
    Connection.patience = patience
    Connection.idle = {}
    Connection.leaving = set()
    return Connection


class _Refused(Exception):
    """The head of a request is none that is taken."""


class _Awaits(Enum):
    """What a connection's timer waits for."""

    HEAD = auto()
    NEXT = auto()
    REST = auto()
    LEAVING = auto()


class _Connection(HttpToolsProtocol):
    """One connection."""

    most: int
    max_wire_bytes: int
    patience: Patience
    #: Connections on which no request is being answered, in the order in which that began.
    idle: "dict[_Connection, None]"
    #: Connections that were refused, and are not closed yet.
    leaving: "set[_Connection]"

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._awaits: _Awaits | None = None
        self._timer: TimerHandle | None = None
        self._stalled: TimerHandle | None = None
        #: Whether a request's line and headers are awaited, or its rest.
        self._in_head = True
        #: Bytes that came of it.
        self._size = 0
        self._refusal: Problem | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most and not self._make_room():
            self._refuse(errors.too_many_connections())
            return
        self.idle[self] = None
        self._wait(_Awaits.HEAD, self.patience.head, self._on_slow_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.idle.pop(self, None)
        self.leaving.discard(self)
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_over():
            return
        self._size += len(data)
        super().data_received(data)
        if self._is_over():
            return
        if self._in_head and self._size > MAX_HEAD:
            self._refuse(errors.head_too_large(MAX_HEAD))
        elif self._size > self.max_wire_bytes:
            # Nobody reads it any more.
            self.transport.abort()
        else:
            self._await_next()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_TARGET:
            self._refusal = errors.target_too_long(MAX_TARGET)
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        # The trailers of a chunked body are no headers, and nobody reads them.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINE:
            # There is an answer on its way, so that this is never told.
            raise _Refused
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD:
            self._refusal = errors.head_too_large(MAX_HEAD)
            raise _Refused
        super().on_headers_complete()
        self._in_head = False
        self._size = 0
        self.idle.pop(self, None)
        self._stop_waiting()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._size = 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._await_next()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.patience.answer, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        """In place of what uvicorn says of bytes that are no request."""
        self._refuse(self._refusal or errors.no_http())

    def _is_over(self) -> bool:
        """Whether nothing is read any more."""
        return self._awaits is _Awaits.LEAVING or self.transport.is_closing()

    def _answers(self) -> bool:
        """Whether a request of the connection is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _make_room(self) -> bool:
        """Gives up the connection that has been idle for longest."""
        oldest = next(iter(self.idle), None)
        if oldest is None:
            return False
        del self.idle[oldest]
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    def _await_next(self) -> None:
        """Sets the timer for what is to come next; it goes on where it waits for that already."""
        if self._answers():
            return
        self.idle.setdefault(self)
        if not self._in_head:
            self._wait(_Awaits.REST, self.patience.rest, self.transport.close)
        elif self._size:
            self._wait(_Awaits.HEAD, self.patience.head, self._on_slow_head)
        else:
            self._wait(_Awaits.NEXT, self.patience.idle, self.transport.close)

    def _wait(self, awaits: _Awaits, seconds: float, then: Callable[[], None]) -> None:
        if self._awaits is not awaits:
            self._stop_waiting()
            self._awaits = awaits
            self._timer = self.loop.call_later(seconds, then)

    def _stop_waiting(self) -> None:
        self._awaits = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_slow_head(self) -> None:
        if self._size:
            self._refuse(errors.too_slow())
        else:
            self.transport.close()

    def _refuse(self, problem: Problem) -> None:
        """Answers in place of the application, and closes the connection."""
        self.idle.pop(self, None)
        if self._answers():
            # The answer of an earlier request is on its way, and this one cannot be given.
            self.transport.close()
            return
        request_id = uuid.uuid4().hex
        logger.warning(
            "a connection was refused",
            extra={"status": problem.status, "error": problem.slug, "request_id": request_id},
        )
        if len(self.leaving) >= _LEAVING:
            self.transport.abort()
            return
        self.leaving.add(self)
        self.transport.write(_answer(problem, request_id))
        # A connection that is closed over bytes that were not read is reset, and the client
        # may never see the answer.
        with suppress(OSError):
            self.transport.write_eof()
        self._wait(_Awaits.LEAVING, self.patience.leaving, self.transport.abort)


def _answer(problem: Problem, request_id: str) -> bytes:
    """An error as the page has it: there is no path or header to tell another client by."""
    body = orjson.dumps(
        dialects.error_answer(dialects.PAGE, problem.slug, problem.message, problem.details)
    )
    headers: Mapping[str, str] = {
        **problem.headers,
        "X-Request-Id": request_id,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return STATUS_LINE[problem.status] + lines.encode() + b"\r\n" + body
