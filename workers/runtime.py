"""One worker process: a broker's consumer with threads, and threads that look by themselves."""

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial

import dramatiq
from dramatiq.common import join_all

from services.database.engine import Database
from services.doorbell import Doorbell
from services.settings import Settings
from services.storage import ObjectStore
from workers.actors import Looks, Slots, register
from workers.context import WorkerContext
from workers.examination import examine
from workers.fitness import Fitness
from workers.leases import LeaseKeeper

logger = logging.getLogger(__name__)

#: Seconds that a shutdown waits for steps that were interrupted to give back their claims.
_SHUTDOWN = 20.0
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
    ) -> None:
        self._leases = LeaseKeeper(database, settings.lease, settings.stall)
        self._fitness = Fitness(partial(examine, database, store))
        context = WorkerContext(settings, database, store, doorbell, self._leases, self._fitness)
        slots = Slots(settings.worker_threads)
        register(broker, context, slots)
        self._worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads)
        # Bells that a busy worker hoards would keep idle ones waiting.
        self._worker.queue_prefetch = settings.worker_threads
        self._looks = Looks(context, slots)

    @property
    def liveness(self) -> Mapping[str, Callable[[], str | None]]:
        """What is wrong that only a new start mends, by name."""
        return {"leases": self._leases.fault, "looks": self._looks.fault}

    @property
    def readiness(self) -> Mapping[str, Callable[[], str | None]]:
        """What keeps this worker from taking steps, by name."""
        return {"fitness": self._fitness.fault}

    def start(self) -> None:
        """Begins to answer doorbells, and to look."""
        self._fitness.start()
        self._worker.start()
        self._looks.start()

    def stop(self) -> None:
        """Interrupts what runs, which gives its claims back, and ends."""
        self._fitness.stop()
        ending = threading.Thread(target=self._end, name="end", daemon=True)
        ending.start()
        self._looks.stop(_SHUTDOWN)
        join_all(self._worker.workers, int(_SHUTDOWN * 1000))  # type: ignore[no-untyped-call]
        ending.join(_FAREWELL)
        self._leases.close()

    def _end(self) -> None:
        try:
            self._worker.stop(timeout=int(_SHUTDOWN * 1000))
        except Exception as error:
            logger.warning("the broker took no leave of us", extra={"error": str(error)})
