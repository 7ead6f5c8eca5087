"""Holding a claim while working: its lease is renewed in the background."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from services.database.engine import Database
from services.errors import Unavailable
from services.exports import claims
from services.exports.claims import ExportClaim, SegmentClaim

logger = logging.getLogger(__name__)


class ClaimLost(Exception):
    """Somebody else took over, or the export was deleted or failed: stop, change nothing."""


class Held:
    """A claim that is being renewed."""

    def __init__(self, claim: ExportClaim | SegmentClaim, lease: timedelta) -> None:
        self.claim = claim
        self.lost = False
        self.renewed_at = time.monotonic()
        self._lease = lease.total_seconds()

    @property
    def is_overdue(self) -> bool:
        """Whether the lease has run out by our own clock: somebody may have taken over."""
        return time.monotonic() - self.renewed_at >= self._lease

    def check(self) -> None:
        """To be called often while working.

        Raises:
            ClaimLost: the work is for nothing.
        """
        # The second is for a process that stood still and goes on before its lease keeper.
        if self.lost or self.is_overdue:
            raise ClaimLost(self.claim.export_id)


class LeaseKeeper:
    """One thread that renews every lease of this process, three times before it runs out."""

    def __init__(self, database: Database, lease: timedelta) -> None:
        self._database = database
        self._lease = lease
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, claim: ExportClaim | SegmentClaim) -> Iterator[Held]:
        """Renews the lease of `claim` until the block ends."""
        held = Held(claim, self._lease)
        with self._lock:
            self._held.add(held)
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def close(self) -> None:
        """Ends the thread; leases then run out by themselves."""
        self._stopped.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopped.wait(self._lease.total_seconds() / 3):
            with self._lock:
                held_now = list(self._held)
            for held in held_now:
                self._renew(held)

    def _renew(self, held: Held) -> None:
        began_at = time.monotonic()
        try:
            if claims.renew(self._database, held.claim, self._lease):
                held.renewed_at = began_at
            else:
                held.lost = True
        except Unavailable:
            logger.warning("a lease was not renewed: the database does not answer")
        except Exception:
            logger.exception("a lease was not renewed")
