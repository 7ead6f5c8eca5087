"""How many threads of a process may need the database at the same time, each of them one
connection."""

from services.server import threads as server
from services.settings import Settings

#: Keeps the leases of a worker.
_LEASES = 1
_RECONCILER = 1
#: Asks the record whether to ring.
_DOORBELL = 1
#: Sends messages to webhooks.
_MESSENGER = 1
#: Watches the database where there is a port for metrics and health.
_WATCH = 1


def of_server(settings: Settings) -> int:
    """Those of `cartouche serve`."""
    calls = server.CALLS + server.STREAMS + server.READS + server.HEALTH
    return calls + _RECONCILER + _DOORBELL + _watches(settings)


def of_worker(settings: Settings) -> int:
    """Those of `cartouche worker`."""
    # Those that hear bells, and those that look by themselves.
    hearing = 2 * settings.worker_threads
    return hearing + _LEASES + _RECONCILER + _DOORBELL + _MESSENGER + _watches(settings)


def of_everything(settings: Settings) -> int:
    """Those of `cartouche run`, which has one reconciler, one doorbell and one watch."""
    both = of_server(settings) + of_worker(settings)
    return both - _RECONCILER - _DOORBELL - _watches(settings)


def _watches(settings: Settings) -> int:
    return _WATCH if settings.metrics_port else 0
