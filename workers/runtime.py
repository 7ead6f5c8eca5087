"""One worker process: a broker's consumer with threads, and threads that look by themselves."""

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

import dramatiq
from dramatiq.common import join_all

from services.allocator import trim
from services.database.engine import Database
from services.doorbell import Doorbell
from services.exports.model import Lane
from services.formats.registry import FORMATS
from services.settings import Settings, networks_of
from services.storage import ObjectStore
from workers.actors import Looks, Slots, register
from workers.budget import STEP, Budget, room_of
from workers.context import WorkerContext
from workers.examination import examine
from workers.fitness import Fitness
from workers.leases import LeaseKeeper
from workers.memory import TYPICAL, resident
from workers.messenger import Messenger

logger = logging.getLogger(__name__)

#: What CARTOUCHE_WORKER_LANES takes.
_LANES = {"all": tuple(Lane), "short": (Lane.short,), "long": (Lane.long,)}
#: Seconds that a shutdown waits for steps that were interrupted to give back their claims: all of
#: them together. A lease that is not given back runs out.
_SHUTDOWN = 15.0
#: Seconds that it then waits for the broker, which takes back by itself what it handed out.
_FAREWELL = 5.0


class WorkerRuntime:
    """Everything a worker runs. `start`, and `stop` in the end."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: ObjectStore,
        broker: dramatiq.Broker,
        doorbell: Doorbell,
        *,
        has_own_process: bool = True,
    ) -> None:
        """Makes nothing but the keeper of its leases.

        `has_own_process`: the memory of this process is that of the worker; otherwise server and
        gateway are in it too, and what a worker would have by itself is reckoned.
        """
        self._settings = settings
        self._database = database
        self._store = store
        self._broker = broker
        self._doorbell = doorbell
        self._has_own_process = has_own_process
        self._leases = LeaseKeeper(database, settings.lease, settings.stall)
        self._fitness = Fitness(partial(examine, database, store))
        self._worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads)
        # Bells that a busy worker hoards would keep idle ones waiting.
        self._worker.queue_prefetch = settings.worker_threads
        self._looks: Looks | None = None
        self._messenger = Messenger(database, networks_of(settings.webhook_allow))

    @property
    def liveness(self) -> Mapping[str, Callable[[], str | None]]:
        """What is wrong that only a new start mends, by name."""
        return {"leases": self._leases.fault, "looks": self._looks_fault}

    @property
    def readiness(self) -> Mapping[str, Callable[[], str | None]]:
        """What keeps this worker from taking steps, by name."""
        return {"fitness": self._fitness.fault}

    def _looks_fault(self) -> str | None:
        return self._looks.fault() if self._looks is not None else None

    def start(self) -> None:
        """Begins to answer doorbells, and to look.

        Raises:
            SettingsError: the memory of the settings is too little for one step.
        """
        self._fitness.start()
        room = room_of(self._settings.worker_memory, self._used())
        context = WorkerContext(
            self._settings,
            self._database,
            self._store,
            self._doorbell,
            self._leases,
            self._fitness,
            Budget(room),
        )
        # No thread claims what it could not begin.
        slots = Slots(
            min(self._settings.worker_threads, room // STEP), _LANES[self._settings.worker_lanes]
        )
        register(self._broker, context, slots)
        self._looks = Looks(context, slots)
        self._worker.start()
        self._looks.start()
        self._messenger.start()

    def _used(self) -> int:
        """Bytes that a worker has before it works."""
        for format_ in FORMATS.values():
            # Loaded at first use otherwise.
            _ = format_.writer
        gc.collect()
        trim()
        used = resident() if self._has_own_process else None
        return TYPICAL if used is None else used

    def stop(self) -> None:
        """Interrupts what runs, which gives its claims back, and ends."""
        until = time.monotonic() + _SHUTDOWN
        self._fitness.stop()
        self._messenger.end()
        ending = threading.Thread(target=self._end, name="end", daemon=True)
        ending.start()
        if self._looks is not None:
            self._looks.stop(_SHUTDOWN)
        left = max(0.0, until - time.monotonic())
        join_all(self._worker.workers, int(left * 1000))  # type: ignore[no-untyped-call]
        ending.join(_FAREWELL)
        self._messenger.join()
        self._leases.close()

    def _end(self) -> None:
        try:
            self._worker.stop(timeout=int(_SHUTDOWN * 1000))
        except Exception as error:
            logger.warning("the broker took no leave of us", extra={"error": str(error)})
