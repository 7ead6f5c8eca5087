"""Whether a process is alive, and whether it can work: what its probes are told.

Looks are taken in the background, each on a thread of its own, and the answer is what the last
ones saw: a probe is answered at once, whatever hangs. A look that hangs is a fault itself.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

#: Seconds between two looks at one thing.
INTERVAL = 5.0
#: Seconds after which a look that has not ended is a fault, and no answer is believed any more.
PATIENCE = 10.0

#: What is wrong, in a sentence; None: nothing is.
Fault = Callable[[], str | None]


class Watch:
    """Looks at one thing again and again, from `start` to `stop`."""

    def __init__(self, name: str, look: Callable[[], None], interval: float = INTERVAL) -> None:
        """`look` raises what is wrong."""
        self._name = name
        self._look = look
        self._interval = interval
        self._fault: str | None = "was not looked at yet"
        self._looked_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{name}", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the looks; waits a moment for one under way."""
        self._stopped.set()
        self._thread.join(1)

    def fault(self) -> str | None:
        """What the last look found wrong; None: nothing."""
        silent = time.monotonic() - self._looked_at
        if silent > self._interval + PATIENCE:
            return f"has not answered for {silent:.0f} seconds"
        return self._fault

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except Exception as error:
                fault = str(error).strip() or type(error).__name__
                if self._fault is None:
                    logger.warning("a look found a fault", extra={"of": self._name, "fault": fault})
                self._fault = fault
            else:
                self._fault = None
            self._looked_at = time.monotonic()
            if self._stopped.wait(self._interval):
                return


@dataclass(frozen=True, slots=True)
class Health:
    """What a process is judged by, each under its name."""

    #: With a fault of these it must be started anew.
    liveness: Mapping[str, Fault] = field(default_factory=dict)
    #: With a fault of these it cannot work now, and may again by itself.
    readiness: Mapping[str, Fault] = field(default_factory=dict)

    def alive(self) -> dict[str, str]:
        """The faults that a new start would mend, by name; none: it is alive."""
        return _faults(self.liveness)

    def ready(self) -> dict[str, str]:
        """The faults that keep it from working, by name; none: it is ready."""
        return _faults(self.readiness) | self.alive()


def _faults(judged: Mapping[str, Fault]) -> dict[str, str]:
    return {name: fault for name, look in judged.items() if (fault := look()) is not None}


class Phase:
    """Where a process stands in its life: it is ready only between `begin` and `end`."""

    def __init__(self) -> None:
        self._fault: str | None = "is starting"

    def begin(self) -> None:
        """It serves."""
        self._fault = None

    def end(self) -> None:
        """It was told to stop."""
        self._fault = "is shutting down"

    def fault(self) -> str | None:
        """Why it does not serve; None: it does."""
        return self._fault


class LoopBeat:
    """Whether an event loop gets round."""

    #: Seconds that it may take.
    LONGEST = 30.0

    def __init__(self) -> None:
        self._at = time.monotonic()

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Beats in the running loop until the block ends; then the beat counts as well."""
        task = asyncio.ensure_future(self._beat())
        try:
            yield
        finally:
            task.cancel()
            self._at = float("inf")

    def fault(self) -> str | None:
        """What is wrong; None: nothing."""
        silent = time.monotonic() - self._at
        return f"stands still for {silent:.0f} seconds" if silent > self.LONGEST else None

    async def _beat(self) -> None:
        while True:
            self._at = time.monotonic()
            await asyncio.sleep(1)


@contextmanager
def watching(watches: Mapping[str, Callable[[], None]]) -> Iterator[dict[str, Fault]]:
    """Looks at each thing until the block ends; what is found wrong with each."""
    made = {name: Watch(name, look) for name, look in watches.items()}
    for watch in made.values():
        watch.start()
    try:
        yield {name: watch.fault for name, watch in made.items()}
    finally:
        for watch in made.values():
            watch.stop()
