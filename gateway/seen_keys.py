"""Which API keys the server took a moment ago."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 1_000


class SeenKeys:
    """A short memory of API keys, by their SHA-256.

    It spares a call of the server where the gateway refuses a request by itself, and never
    lets one through.
    """

    def __init__(
        self, seconds: float, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remembers the `most` keys that were added last, each for so many seconds."""
        self._seconds = seconds
        self._most = most
        self._clock = clock
        #: When each was added, the oldest first.
        self._added: OrderedDict[bytes, float] = OrderedDict()

    def add(self, key: str) -> None:
        """The server took the key just now."""
        digest = _digest(key)
        self._added[digest] = self._clock()
        self._added.move_to_end(digest)
        if len(self._added) > self._most:
            self._added.popitem(last=False)

    def forget(self, key: str) -> None:
        """The server did not take the key, or wants to see it each time."""
        self._added.pop(_digest(key), None)

    def __contains__(self, key: str) -> bool:
        added = self._added.get(_digest(key))
        return added is not None and self._clock() - added < self._seconds


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
