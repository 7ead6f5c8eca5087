"""Waiting for what comes by and by."""

import time
from collections.abc import Callable


def until(reached: Callable[[], bool], seconds: float = 30, pause: float = 0.05) -> None:
    """Waits until something is so.

    Raises:
        AssertionError: it is not so after these seconds.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"it was not reached within {seconds:g} s"
        time.sleep(pause)
