"""How often a read or an idempotent call is tried."""

import time
from collections.abc import Callable
from typing import TypeVar

from services.storage.errors import StorageUnavailable

#: Waits in seconds before a read or an idempotent call is tried again.
RETRY_WAITS = (0.1, 0.4)

T = TypeVar("T")


def retried(call: Callable[[], T]) -> T:
    """What the call returns; a store that is away gets a few short chances to come back."""
    for wait in RETRY_WAITS:
        try:
            return call()
        except StorageUnavailable:
            time.sleep(wait)
    return call()
