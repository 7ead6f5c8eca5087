"""Reading many small objects ahead, in batches, on the threads of the process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from services.storage.clients import Clients
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


class ReadAhead:
    """Reads small objects ahead of their turn, and streams large ones when it comes."""

    def __init__(self, clients: Callable[[], Clients], reader: ObjectReader) -> None:
        self._clients = clients
        self._reader = reader

    def read(
        self,
        bucket: str,
        items: Iterable[tuple[str, int]],
        concurrency: int,
        window_bytes: int,
    ) -> Iterator[Iterator[bytes]]:
        """The contents of the objects, in their order."""
        threads = self._clients().threads
        batches = _batches(items)
        ahead: deque[tuple[_Batch, Future[list[bytes | StorageError]] | None]] = deque()
        held = 0
        batch = next(batches, None)
        try:
            while batch is not None or ahead:
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

    def _read_batch(self, bucket: str, keys: Iterable[str]) -> list[bytes | StorageError]:
        """The contents of objects, up to the first that cannot be read, and why."""
        found: list[bytes | StorageError] = []
        try:
            for key in keys:
                found.append(self._reader.get(bucket, key))
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
