"""Where parts begin and end whose bytes lie in an earlier archive already, and those between them.

Entries do not depend on where they are cut, so parts may follow the difference of two archives: a
run of entries that lie in a row in the earlier one is a part that the store copies, and what is
between two such runs is one that is built.
"""

from collections import deque
from typing import Final, Generic, Protocol, TypeVar

from workers.archive.segments import MANY, MAX_PARTS, MIN_PART

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

#: Bytes of a part that is copied, where a part that is built has no more: the store copies several
#: at once.
COPIED_PART: Final = 64 * 2**20
#: Bytes that S3 copies into one part (5 GiB), without the largest image, which may come on top.
MOST_COPIED: Final = 2**30
#: Parts after which differences are followed no more: those that are left may all be full ones.
_MOST_PARTS = MAX_PARTS * 95 // 100
#: Images that may wait until it shows whether their run is long enough.
MOST_WAITING = 8_192


class Parts(Protocol[T_contra]):
    """What takes the parts."""

    def take(self, image: T_contra, length: int) -> None:
        """The next image of the part at hand, and the bytes of its entry."""
        ...

    def end_part(self, copied: tuple[int, int] | None) -> None:
        """The part at hand ends. It is copied from a first place in the earlier archive to the one
        before a last, or built."""
        ...


class DifferenceCutter(Generic[T]):
    """Cuts images, in the archive's order, into parts that are copied and parts that are built.

    Each part has `MIN_PART` bytes but the last one of all, which may be shorter. Where images that
    are built come before a run and are too few for a part, they take the first entries of the run
    with them; a run that is too short for a part is built. So at most two parts of `MIN_PART`, and
    an image, are built beside what has changed in a row.

    `total` is the bytes of all images together, or more; `size` those of a full part that is
    built.
    """

    def __init__(self, parts: Parts[T], total: int, size: int) -> None:
        self._parts = parts
        self._size = size
        self._most_copied = min(max(COPIED_PART, size), MOST_COPIED)
        self._left = total
        self._ended = 0
        #: Of the part at hand.
        self._length = 0
        self._count = 0
        #: The first place of the part at hand, if it is copied.
        self._copied_from: int | None = None
        #: Images in a row that may become a copied part, and the place of the first of them.
        self._run: deque[tuple[T, int]] = deque()
        self._run_from = 0
        self._run_length = 0
        #: The place at which the next image would go on in the earlier archive.
        self.expected = 0

    @property
    def is_copying(self) -> bool:
        """Whether the part at hand is copied: what belongs to it does not wait."""
        return self._copied_from is not None

    def add(self, image: T, length: int, size: int, place: int) -> None:
        """Takes the next image: the bytes of its entry and of itself, and its place in the earlier
        archive, -1 where that has no equal entry."""
        self._left -= size
        after = self.expected
        if place >= 0:
            self.expected = place + 1
        goes_on = place == after
        if self._copied_from is not None:
            if goes_on and self._length + length <= self._most_copied and self._count < MANY:
                self._take(image, length)
                return
            self._end((self._copied_from, after))
            goes_on = False
        if not goes_on:
            self._build_run()
        if place < 0:
            self._take(image, length)
            self._end_if_full()
            return
        if not self._run:
            self._run_from = place
        self._run.append((image, length))
        self._run_length += length
        self._begin_copy()

    def end(self) -> None:
        """Ends the last part, once every image was added."""
        if self._copied_from is not None:
            self._end((self._copied_from, self.expected))
            return
        self._build_run()
        if self._count:
            self._end(None)

    def _begin_copy(self) -> None:
        """Makes a copied part of the run, where it is long enough."""
        missing = MIN_PART - self._length if self._length else 0
        if self._run_length < MIN_PART + max(0, missing):
            if len(self._run) >= MOST_WAITING:
                # Of images as small as these it would take too much memory to wait for more.
                self._build_run()
            return
        if not self._has_room():
            self._build_run()
            return
        while 0 < self._length < MIN_PART:
            self._take_first()
        if self._run_length < MIN_PART:
            return
        if self._length:
            self._end(None)
        self._copied_from = self._run_from
        while self._run:
            self._take_first()

    def _has_room(self) -> bool:
        """Whether full parts suffice for the rest, even if two more end early."""
        left = self._left + self._run_length + self._length
        return self._ended + 2 + -(-left // self._size) <= _MOST_PARTS

    def _build_run(self) -> None:
        while self._run:
            self._take_first()
            self._end_if_full()

    def _take_first(self) -> None:
        image, length = self._run.popleft()
        self._run_from += 1
        self._run_length -= length
        self._take(image, length)

    def _take(self, image: T, length: int) -> None:
        self._length += length
        self._count += 1
        self._parts.take(image, length)

    def _end_if_full(self) -> None:
        """Ends the part at hand, which is built, where it is full and enough is left for one."""
        least = MIN_PART if self._count >= MANY and self._has_room() else self._size
        if self._length >= least and self._left + self._run_length >= MIN_PART:
            self._end(None)

    def _end(self, copied: tuple[int, int] | None) -> None:
        self._parts.end_part(copied)
        self._ended += 1
        self._length = self._count = 0
        self._copied_from = None
