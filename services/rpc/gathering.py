"""Reads that are asked for at once, and done at once.

A look at the database costs a thread and a round trip, for one row as for a hundred. Calls that
come while a read is under way wait for it to end, and the next one reads for them all: the more of
them there are, the less each costs. None is told what was read before it came.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

#: Keys that are read at once.
_MOST = 1_000
#: Seconds of a read after which those who came meanwhile wait for it no more, and another begins:
#: a look at the database takes one.
PATIENCE = 0.005


class Readers:
    """The threads that read, for every kind of reads of a server."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="read")

    def close(self) -> None:
        """Lets reads end that are under way, and begins none."""
        self.pool.shutdown(wait=False)


class GatheredReads(Generic[Key, Value]):
    """Reads of one kind. Everything but the reading itself runs on one event loop."""

    def __init__(
        self,
        read: Callable[[Sequence[Key]], Mapping[Key, Value]],
        readers: Readers,
        patience: float = PATIENCE,
    ) -> None:
        """`read` finds the values of some keys, on a thread of `readers`: on one of them, or on
        more while one takes longer than `patience`, so that it does not hold up all others."""
        self._read = read
        self._readers = readers
        self._patience = patience
        #: The keys that nobody reads yet.
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._under_way = 0
        #: When the latest read began, and what looks whether it takes long.
        self._begun_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def get(self, key: Key) -> Value | None:
        """The value of a key, as it is now; None: there is none.

        Raises: what `read` raises.
        """
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
            # Where nobody asks any more, nobody need be told.
            found.add_done_callback(_forget)
            if self._timer is None or not self._under_way:
                self._begin()
        # Others may wait for the same, when this call is cancelled.
        return await asyncio.shield(found)

    def _begin(self) -> None:
        """Begins to read, where nobody does or it takes long."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting or self._under_way == self._readers.threads:
            return
        loop = asyncio.get_running_loop()
        patience = self._begun_at + self._patience - loop.time()
        if self._under_way and patience > 0:
            self._timer = loop.call_later(patience, self._begin)
            return
        self._under_way += 1
        task = loop.create_task(self._read_all())
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read_all(self) -> None:
        """Reads until nobody waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            self._begun_at = loop.time()
            keys = list(self._waiting)[:_MOST]
            asked = {key: self._waiting.pop(key) for key in keys}
            try:
                values = await loop.run_in_executor(self._readers.pool, self._read, keys)
            except Exception as error:
                for future in asked.values():
                    future.set_exception(error)
            else:
                for key, future in asked.items():
                    future.set_result(values.get(key))
        self._under_way -= 1


def _forget(future: "asyncio.Future[Value | None]") -> None:
    if not future.cancelled():
        future.exception()
