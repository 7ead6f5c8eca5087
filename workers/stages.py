"""The stages of the work, as they are measured: plan, text, images, copy, finish, verify.

Where the plan builds the text while it reads, its time has that of the text within.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from services import metrics, tracing

Name = Literal["plan", "text", "images", "copy", "finish", "verify"]


@dataclass(slots=True)
class Stage:
    """A stage under way, and the bytes that it has made."""

    bytes: int = 0


@contextmanager
def stage(name: Name) -> Iterator[Stage]:
    """Measures the block; what it made counts where it ends well."""
    made = Stage()
    seconds = metrics.seconds_of(metrics.STAGE_SECONDS.labels(name))
    with seconds, tracing.child(name) as span:
        yield made
        span.set("cartouche.bytes", made.bytes)
    metrics.STAGE_BYTES.labels(name).inc(made.bytes)
