"""Whether this worker can do any work at all: its clock, its credentials, its disk, its schema.

A worker that cannot would fail every step that it takes, and none of them is to blame. It takes
no step then, says why in its log, and looks again every so often.
"""

import logging
import threading
from collections.abc import Callable

from services import metrics
from services.errors import Unavailable
from services.settings import SettingsError
from services.storage import StorageError, StorageUnavailable

logger = logging.getLogger(__name__)

#: Seconds between looks whether a worker has become fit.
_INTERVAL = 10.0


class Fitness:
    """What a worker knows of itself. Fit until a step or its examination tells otherwise."""

    def __init__(self, examination: Callable[[], None], interval: float = _INTERVAL) -> None:
        self._examination = examination
        self._interval = interval
        self._unfit = threading.Event()
        self._stopped = threading.Event()
        self._reason = ""
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fitness", daemon=True)

    @property
    def is_fit(self) -> bool:
        """Whether this worker may take steps."""
        return not self._unfit.is_set()

    def fault(self) -> str | None:
        """Why this worker takes no steps; None: it does."""
        if self.is_fit:
            return None
        return "is shutting down" if self._stopped.is_set() else self._reason

    def start(self) -> None:
        """Examines the worker once, and again whenever it is unfit."""
        metrics.show(metrics.WORKER_FIT)
        metrics.WORKER_FIT.set(1)
        self._examine()
        self._thread.start()

    def stop(self) -> None:
        """Ends the looks."""
        self._stopped.set()
        self._unfit.set()

    def lose(self, error: Exception) -> None:
        """Says that a step failed for a reason that is this worker's own."""
        with self._lock:
            if str(error) != self._reason:
                self._reason = str(error)
                logger.error("this worker takes no steps", extra={"reason": self._reason})
            self._unfit.set()
            metrics.WORKER_FIT.set(0)

    def _run(self) -> None:
        while self._unfit.wait() and not self._stopped.wait(self._interval):
            self._examine()

    def _examine(self) -> None:
        try:
            self._examination()
        except (Unavailable, StorageUnavailable) as error:
            # Steps are postponed for it. Who is unfit stays so until it can be told.
            logger.warning("this worker was not examined", extra={"error": str(error)})
        except (SettingsError, StorageError, OSError) as error:
            self.lose(error)
        except Exception as error:
            logger.exception("this worker was not examined")
            self.lose(error)
        else:
            with self._lock:
                if self._unfit.is_set() and not self._stopped.is_set():
                    self._unfit.clear()
                    metrics.WORKER_FIT.set(1)
                    self._reason = ""
                    logger.info("this worker takes steps again")
