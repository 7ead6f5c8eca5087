"""The tail of an archive as parts of its upload, without a part in memory where that can be."""

from collections.abc import Iterable, Iterator

#: Bytes of a part that is held, as its length is known only when it is full.
HELD_PART = 8 * 1024 * 1024


def held_bytes(size: int) -> int:
    """Bytes that `tail_parts` holds at most of parts of that size."""
    return min(size, max(HELD_PART, size // 2))


def tail_parts(
    stream: Iterable[bytes], known: int, size: int
) -> Iterator[tuple[int, Iterable[bytes]]]:
    """Cuts a stream into parts, each with its length in bytes; each is to be read to its end
    before the next is taken.

    Of the first `known` bytes every part has exactly `size`, and is passed on as it comes. What is
    left of them, and what follows, of a length that nobody knows yet (the central directory), is
    held in parts of half as many, or of HELD_PART where that is more; the last one is shorter.
    """
    reader = _Reader(stream)
    while known >= size:
        yield size, reader.take(size)
        known -= size
    held_size = held_bytes(size)
    while held := list(reader.take(held_size)):
        yield sum(map(len, held)), held
        # Before the next part is gathered.
        held.clear()


class _Reader:
    """Takes exact numbers of bytes from pieces of any size, without copying whole pieces."""

    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = iter(stream)
        self._piece = memoryview(b"")

    def take(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces; fewer at the end."""
        while size:
            if not self._piece:
                piece = next(self._stream, None)
                if piece is None:
                    return
                self._piece = memoryview(piece)
                continue
            taken, self._piece = self._piece[:size], self._piece[size:]
            size -= len(taken)
            yield bytes(taken)
