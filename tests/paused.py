"""Workers that stand still for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.stack import Production


@contextmanager
def paused_workers(stack: Production) -> Iterator[None]:
    """What is asked for in the block stays pending until its end."""
    running = [worker for worker in stack.workers if worker.running]
    for worker in running:
        worker.pause()
    try:
        yield
    finally:
        for worker in running:
            worker.resume()
