"""What all PutImages streams of a server share of its memory, or of its disk, in bytes."""

import asyncio
from collections import deque


class HeldBytes:
    """A budget that is given out in the order in which it was asked for. Of one event loop.

    Who finds it empty waits, and reads nothing more from its connection meanwhile: flow control
    then keeps the rest with the client. More than all of it is given to who is alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def limit(self) -> int:
        """Bytes that there are to give out."""
        return self._limit

    @property
    def held(self) -> int:
        """Bytes that are given out."""
        return self._held

    async def take(self, size: int) -> None:
        """Waits until so many bytes are free, and takes them."""
        if not self._waiting and self._fits(size):
            self._held += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self._waiting.remove((size, turn))
                self._serve()
            raise

    def give_back(self, size: int) -> None:
        """Frees what was taken, or a part of it."""
        self._held -= size
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            self._held += size
            turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self._limit
