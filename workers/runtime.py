"""One worker process: a broker's consumer with threads, and the reconciler's timer."""

import dramatiq

from services.database.engine import Database
from services.doorbell import Doorbell
from services.settings import Settings
from services.storage import ObjectStore
from workers.actors import register
from workers.context import WorkerContext
from workers.leases import LeaseKeeper

#: How long a shutdown waits for steps that were interrupted to give back their claims.
_SHUTDOWN_MILLISECONDS = 20_000


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
        self._leases = LeaseKeeper(database, settings.lease)
        self._context = WorkerContext(settings, database, store, doorbell, self._leases)
        register(broker, self._context)
        self._worker = dramatiq.Worker(broker, worker_threads=settings.worker_threads)
        # Bells that a busy worker hoards would keep idle ones waiting.
        self._worker.queue_prefetch = settings.worker_threads

    def start(self) -> None:
        """Begins to answer doorbells."""
        self._worker.start()

    def stop(self) -> None:
        """Interrupts what runs, which gives its claims back, and ends."""
        self._worker.stop(timeout=_SHUTDOWN_MILLISECONDS)
        self._leases.close()
