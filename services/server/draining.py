"""The end of a server's streams: they would outlast any grace, and clients connect again."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

from services.errors import Unavailable

Response = TypeVar("Response")


class Drain:
    """Ends the streams of one server. Everything here runs on the server's event loop."""

    def __init__(self) -> None:
        self._begun = False
        #: Tasks of streams that have nothing to send at the moment.
        self._waiting: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """Ends every stream that is open, and from now on every one that opens."""
        self._begun = True
        for task in self._waiting:
            task.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A block that may wait for long, and ends where the drain begins.

        Raises:
            Unavailable: it has begun; the client connects again.
        """
        if self._begun:
            raise _ending()
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            # The client's own end of the call passes.
            if not self._begun:
                raise
            task.uncancel()
            raise _ending() from None
        finally:
            self._waiting.discard(task)

    async def through(self, responses: AsyncGenerator[Response, None]) -> AsyncIterator[Response]:
        """The responses of a stream, whatever it does between them.

        Raises:
            Unavailable: the drain has begun; the client connects again.
        """
        async with aclosing(responses):
            while True:
                with self.waiting():
                    response = await anext(responses, None)
                if response is None:
                    return
                yield response


def _ending() -> Unavailable:
    return Unavailable(
        "SERVER_STOPPING",
        "The server is shutting down; connect again, and this call goes on at another one or "
        "at the same one after its restart.",
    )
