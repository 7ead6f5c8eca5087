"""Reading many small objects ahead, in batches, on the threads of the process."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from services.storage.clients import FAR_READ_THREADS, READ_THREADS, Clients
from services.storage.errors import StorageError
from services.storage.reading import ObjectReader

#: Objects above this are streamed, never read as a whole ahead of their turn.
SMALL_OBJECT_BYTES = 3 * 1024 * 1024
#: A thread reads that many bytes, or objects, before it hands them over: what each hand-over
#: costs would weigh on small images.
BATCH_BYTES = 256 * 1024
BATCH_OBJECTS = 16
#: What may be in memory ahead of its turn: enough for every thread to read a batch.
WINDOW_BYTES = 6 * 1024 * 1024

#: Seconds of the quickest of so many answers from which on a store is far away: one beside a busy
#: worker takes 2 ms at most. AWS names 100 to 200 for a small object ("Best practices design
#: patterns: optimizing Amazon S3 performance").
FAR = 0.005
ANSWERS = 64


class Distance:
    """How far away the store is, by its quickest answers: with many calls at once each waits for
    the others, but the quickest hardly do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._quickest = self._before = math.inf
        self.is_far = False

    def note(self, seconds: float) -> None:
        """Takes what an answer took, on any thread."""
        with self._lock:
            self._quickest = min(self._quickest, seconds)
            self._count += 1
            if self._count == ANSWERS:
                # Two runs agree: the whole machine may stand still for one.
                self.is_far = min(self._quickest, self._before) > FAR
                self._before, self._quickest, self._count = self._quickest, math.inf, 0


class ReadAhead:
    """Reads small objects ahead of their turn, and streams large ones when it comes.

    READ_THREADS read at once in the whole process, and FAR_READ_THREADS where the store is far
    away: threads do little there but wait.
    """

    def __init__(self, clients: Callable[[], Clients], reader: ObjectReader) -> None:
        self._clients = clients
        self._reader = reader
        self._distance = Distance()

    def read(
        self,
        bucket: str,
        items: Iterable[tuple[str, int]],
        window_bytes: int,
    ) -> Iterator[Iterator[bytes]]:
        """The contents of the objects, in their order."""
        batches = _batches(items)
        ahead: deque[tuple[_Batch, Future[list[bytes | StorageError]] | None]] = deque()
        held = 0
        batch = next(batches, None)
        try:
            while batch is not None or ahead:
                threads, concurrency = self._threads()
                while (
                    batch is not None
                    and len(ahead) < concurrency
                    and (not ahead or held + batch.size <= window_bytes)
                ):
                    reading = None
                    if batch.size <= SMALL_OBJECT_BYTES:
                        reading = threads.submit(self._read_batch, bucket, batch.keys)
                        held += batch.size
                    ahead.append((batch, reading))
                    batch = next(batches, None)
                current, reading = ahead.popleft()
                if reading is None:
                    yield self._reader.stream(bucket, current.keys[0])
                    continue
                for content in reading.result():
                    if isinstance(content, StorageError):
                        raise content
                    yield iter((content,))
                held -= current.size
        finally:
            for _, reading in ahead:
                if reading is not None:
                    reading.cancel()

    def _threads(self) -> tuple[Executor, int]:
        """What reads, and how many batches at once."""
        clients = self._clients()
        if self._distance.is_far:
            return clients.far_threads, FAR_READ_THREADS
        return clients.threads, READ_THREADS

    def _read_batch(self, bucket: str, keys: Iterable[str]) -> list[bytes | StorageError]:
        """The contents of objects, up to the first that cannot be read, and why."""
        found: list[bytes | StorageError] = []
        try:
            for key in keys:
                started = time.perf_counter()
                found.append(self._reader.get(bucket, key))
                self._distance.note(time.perf_counter() - started)
        except StorageError as error:
            found.append(error)
        return found


@dataclass(slots=True)
class _Batch:
    """Objects that one thread reads in a row; one that is large is alone."""

    keys: list[str]
    size: int


def _batches(items: Iterable[tuple[str, int]]) -> Iterator[_Batch]:
    """Cuts a list of objects into batches, in order."""
    batch = _Batch([], 0)
    for key, size in items:
        if batch.keys and (batch.size + size > BATCH_BYTES or len(batch.keys) == BATCH_OBJECTS):
            yield batch
            batch = _Batch([], 0)
        batch.keys.append(key)
        batch.size += size
    if batch.keys:
        yield batch
