"""How calls of the store are counted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from services import metrics, tracing
from services.storage.errors import (
    CopyRefused,
    ObjectNotFound,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)


@contextmanager
def observed(verb: str) -> Iterator[None]:
    """Counts a call of the store, and how long it took, its body included."""
    started = time.perf_counter()
    outcome = "interrupted"
    try:
        with tracing.child(f"s3 {verb}", "client", {"rpc.system.name": "s3", "rpc.method": verb}):
            yield
        outcome = "ok"
    except GeneratorExit:
        # Who reads has seen enough.
        outcome = "ok"
        raise
    except (ObjectNotFound, UploadNotFound):
        outcome = "not_found"
        raise
    except StorageUnavailable:
        outcome = "unavailable"
        raise
    except (StorageRefused, CopyRefused):
        outcome = "refused"
        raise
    finally:
        metrics.STORE_CALLS.labels(verb, outcome).inc()
        metrics.STORE_SECONDS.labels(verb).observe(time.perf_counter() - started)
