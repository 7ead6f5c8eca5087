"""How many threads of a process may need the database at the same time, each of them one
connection."""

from services.server import threads as server
from services.settings import Settings

#: Keeps the leases of a worker.
_LEASES = 1
_RECONCILER = 1
#: Asks the record whether to ring.
_DOORBELL = 1


def of_server() -> int:
    """Those of `cartouche serve`."""
    return server.CALLS + server.STREAMS + server.HEALTH + _RECONCILER + _DOORBELL


def of_worker(settings: Settings) -> int:
    """Those of `cartouche worker`."""
    # Those that hear bells, and those that look by themselves.
    return 2 * settings.worker_threads + _LEASES + _RECONCILER + _DOORBELL


def of_everything(settings: Settings) -> int:
    """Those of `cartouche run`, which has one reconciler and one doorbell."""
    return of_server() + of_worker(settings) - _RECONCILER - _DOORBELL
