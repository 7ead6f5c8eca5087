"""The memory of a worker process: one budget in bytes, which its steps share.

`CARTOUCHE_WORKER_MEMORY` is the resident peak of the process, with the interpreter and with a step
that runs alone in a process of its own. What the process has after its start, measured, is gone
from it, and so is what one piece of geometry may need at its limits. The rest is the room:

- A step takes a share before it works: `STEP`, which its buffers never exceed, as each of them is
  bounded in bytes (blocks of text, runs of deflated text, images read ahead, parts that are held).
- Where the annotations of one image are large, the step takes for them beside it what they need
  once they are parsed, `PARSED` times their bytes. The plan notes the largest of each segment, so
  it is known before the step begins; their limit is in `services.catalog.limits`.
- A step that runs alone takes the whole room, and its process (`PROCESS`) is part of it.

Shares are given in the order in which they were asked for, so nobody waits for ever. Who waits
holds no other share, so nobody waits for each other. A step that needs more than the room
(annotations from before their limit, or large ones in a process of their own) gets all of it when
nobody else works: it exceeds the budget rather than fail.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.catalog.limits import MAX_DOCUMENT
from services.settings import SettingsError

logger = logging.getLogger(__name__)

MIB = 1024 * 1024
#: Memory of a step beside large annotations.
STEP = 12 * MIB
#: Annotations of an image that are larger need memory of their own.
LARGE = 256 * 1024
#: Memory that a byte of annotations takes while it is rendered: parsed, and written again.
PARSED = 12
#: Of a polygon whose outline is as long as the limits allow, in a raster: one image at a time is
#: rendered.
GEOMETRY = 18 * MIB
#: Memory of an interpreter beside another: pages that they share are not in it.
PROCESS = 60 * MIB
#: Seconds between looks whether a step that waits is still wanted.
_LOOK = 0.5


def needs(largest: int) -> int:
    """Memory of a step that renders or reads annotations of an image of so many bytes."""
    return STEP + (PARSED * largest if largest > LARGE else 0)


def room_of(total: int, used: int) -> int:
    """What steps share, where the process has `used` bytes before any of them.

    Where there is room for a step, but not for the largest annotations that are taken, or for a
    process beside this one, a line of the log says so: such a step would exceed the budget.

    Raises:
        SettingsError: no step fits.
    """
    room = total - used - GEOMETRY
    advised = -(-(total - room + max(needs(MAX_DOCUMENT), PROCESS + STEP)) // MIB)
    if room < STEP:
        raise SettingsError(
            f"CARTOUCHE_WORKER_MEMORY is {total // MIB} MiB, of which this process has "
            f"{used // MIB} MiB before it works: too little for one step. Give {advised} MiB "
            f"({advised * MIB}) or more."
        )
    if room < needs(MAX_DOCUMENT):
        logger.warning(
            "CARTOUCHE_WORKER_MEMORY is too little for the largest annotations that are taken",
            extra={"bytes": total, "advised_bytes": advised * MIB},
        )
    return room


class Budget:
    """Memory that the steps of a process share, in bytes. Safe for threads."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._held = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def share(self, size: int, check: Callable[[], None]) -> "Iterator[Share]":
        """Waits for so many bytes, and holds them until the block ends.

        `check` is called while waiting; what it raises ends that.
        """
        share = Share(self)
        share.resize(size, check)
        try:
            yield share
        finally:
            share.give_back()

    def take(self, size: int, check: Callable[[], None]) -> None:
        """Waits for so many bytes; more than there are where nobody else has any."""
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                while self._waiting[0] is not turn or not self._fits(size):
                    self._changed.wait(_LOOK)
                    check()
                self._held += size
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def give_back(self, size: int) -> None:
        """Frees so many bytes."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._held == 0 or self._held + size <= self.room


class Share:
    """What a step holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def resize(self, size: int, check: Callable[[], None]) -> None:
        """Holds so many bytes from now on. To hold more it lets go of all, and waits its turn."""
        if size == self.size:
            return
        if size < self.size:
            self._budget.give_back(self.size - size)
        else:
            self.give_back()
            self._budget.take(size, check)
        self.size = size

    def give_back(self) -> None:
        """Holds nothing any more."""
        held, self.size = self.size, 0
        if held:
            self._budget.give_back(held)
