"""Calls of the store that a caller need not wait for one by one, on the threads of the process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

#: Calls under way at once, and bytes that they may have in memory together.
MOST_CALLS = 8
MOST_BYTES = 4 * 1024 * 1024


class _Bounded(Generic[T]):
    """Calls under way, oldest first."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._calls: deque[tuple[Future[T], int]] = deque()
        self._held = 0

    def __len__(self) -> int:
        return len(self._calls)

    def has_room(self, size: int) -> bool:
        """Whether a call of so many bytes may begin; one always may where nothing is under way."""
        return not self._calls or (
            len(self._calls) < MOST_CALLS and self._held + size <= MOST_BYTES
        )

    def begin(self, call: Callable[[], T], size: int) -> None:
        """Begins a call."""
        # So that its span belongs to the step.
        future = self._threads.submit(copy_context().run, call)
        self._calls.append((future, size))
        self._held += size

    def oldest(self) -> T:
        """Waits for the call that began first; raises what it raised."""
        future, size = self._calls.popleft()
        try:
            return future.result()
        finally:
            self._held -= size

    def cancel(self) -> None:
        """Lets none begin any more, and waits for those that have."""
        for future, _ in self._calls:
            future.cancel()
        while self._calls:
            future, _ = self._calls.popleft()
            if not future.cancelled():
                future.exception()


class WriteBehind:
    """Calls that go on while their caller does; the end of the block waits for them.

    What one of them raises comes out of a later `begin`, or of the end of the block. When it is
    over none of them is under way, however it ends.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._calls = _Bounded[object](threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            while kind is None and self._calls:
                self._calls.oldest()
        finally:
            self._calls.cancel()

    def begin(self, call: Callable[[], object], size: int) -> None:
        """Begins a call that has so many bytes in memory, as soon as there is room for them."""
        while not self._calls.has_room(size):
            self._calls.oldest()
        self._calls.begin(call, size)


def side_by_side(
    threads: ThreadPoolExecutor, calls: Iterable[tuple[Callable[[], T], int]]
) -> Iterator[T]:
    """What calls return, in their order; each comes with the bytes that its answer takes.

    Raises what a call raises, in its turn.
    """
    under_way = _Bounded[T](threads)
    try:
        for call, size in calls:
            while not under_way.has_room(size):
                yield under_way.oldest()
            under_way.begin(call, size)
        while under_way:
            yield under_way.oldest()
    finally:
        under_way.cancel()
