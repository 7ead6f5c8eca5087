"""Server-Sent Events: what a watch of the server tells, as the browser's standard has it.

WHATWG, HTML, section 9.2: an event has a name, an id that a client names when it comes back
(`Last-Event-ID`), and its data; a line that begins with a colon keeps the connection alive.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import orjson
from starlette.responses import StreamingResponse

from gateway import dialects, errors
from gateway.exchange import Exchange

Message = TypeVar("Message")

MEDIA_TYPE = "text/event-stream"
#: Seconds after which a line is sent that says nothing: proxies end connections that are silent.
_HEARTBEAT = 15.0
#: Milliseconds after which a client is to come back.
_COME_BACK = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""

    name: str
    data: Any

    def encoded(self) -> tuple[str, bytes]:
        """Its id, which is the same for the same data, and its lines."""
        data = orjson.dumps(self.data)
        digest = hashlib.sha256(self.name.encode() + data).hexdigest()[:16]
        return digest, f"event: {self.name}\nid: {digest}\ndata: ".encode() + data + b"\n\n"


class Streams:
    """The streams of one gateway, which end before it does."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()

    def end(self) -> None:
        """Ends every stream, and those that begin from now on."""
        self._stopping.set()

    async def came(self, awaited: "asyncio.Future[Any]") -> bool:
        """Whether it has come before the time of a heartbeat.

        Raises:
            Stopping: the gateway ends.
        """
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait(
                {awaited, stopping}, timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stopping.cancel()
        if self._stopping.is_set():
            raise Stopping
        return awaited.done()


class Stopping(Exception):
    """The gateway ends."""


def accepts_events(accept: str) -> bool:
    """Whether a client asks for events, by its Accept header."""
    return any(part.partition(";")[0].strip() == MEDIA_TYPE for part in accept.lower().split(","))


async def event_stream(
    call: "grpc.aio.UnaryStreamCall[Any, Message]",
    events: Callable[[Message], Iterable[Event]],
    end: Callable[[], str],
    exchange: Exchange,
    streams: Streams,
    last_event_id: str = "",
) -> StreamingResponse:
    """The answer that tells a watch.

    Args:
        call: the watch.
        events: what a message of it means.
        end: why it ended, where it ended by itself.
        exchange: of the request.
        streams: of the gateway.
        last_event_id: of the event that the client knows: the first one is left out where it is
            the same.

    Raises:
        grpc.aio.AioRpcError: the watch does not begin.
    """
    first = await call.read()

    async def told() -> AsyncIterator[bytes]:
        known = last_event_id
        message: Any = first
        yield f"retry: {_COME_BACK}\n\n".encode()
        try:
            while message is not grpc.aio.EOF:
                for event in events(message):
                    number, lines = event.encoded()
                    if number != known:
                        yield lines
                    known = ""
                awaited = asyncio.ensure_future(call.read())
                while not await streams.came(awaited):
                    yield b":\n\n"
                message = awaited.result()
            yield _end(end())
        except Stopping:
            yield _end("shutdown")
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                yield _end("deleted")
            elif error.code() is grpc.StatusCode.UNAVAILABLE:
                yield _end("shutdown")
            else:
                problem = errors.from_rpc(error, exchange.request_id)
                answer = dialects.error_answer(
                    dialects.PAGE, problem.slug, problem.message, problem.details
                )
                yield Event("error", answer).encoded()[1]
                yield _end("error")
        finally:
            call.cancel()

    # A proxy that gathers answers would tell everything at the end.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told(), headers=headers, media_type=MEDIA_TYPE)


def _end(reason: str) -> bytes:
    return Event("end", {"reason": reason}).encoded()[1]
