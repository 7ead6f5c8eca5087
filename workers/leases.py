"""Holding a claim while working: its lease is renewed in the background, as long as the step
makes progress and somebody waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from services import metrics
from services.database.engine import Database
from services.errors import Unavailable
from services.exports import claims
from services.exports.claims import Claim

logger = logging.getLogger(__name__)


#: Seconds between looks whether somebody still waits for what is being done.
_LOOK = 2.0
#: Seconds that one call of the record takes at the very most.
_SILENCE = 60.0


class ClaimLost(Exception):
    """Somebody else took over, or the export was deleted or failed: stop, change nothing."""


class Held:
    """A claim that is being renewed."""

    def __init__(self, claim: Claim, lease: timedelta) -> None:
        self.claim = claim
        self.lost = False
        #: It made no progress for too long: whatever holds it may never end.
        self.stands_still = False
        self.renewed_at = self.moved_at = time.monotonic()
        self._lease = lease.total_seconds()

    @property
    def is_overdue(self) -> bool:
        """Whether the lease has run out by our own clock: somebody may have taken over."""
        return time.monotonic() - self.renewed_at >= self._lease

    def check(self) -> None:
        """To be called often while working; to the keeper it is progress.

        Raises:
            ClaimLost: the work is for nothing.
        """
        self.moved_at = time.monotonic()
        # The second is for a process that stood still and goes on before its lease keeper.
        if self.lost or self.is_overdue:
            raise ClaimLost(self.claim.export_id)


class LeaseKeeper:
    """One thread that renews every lease of this process, three times before it runs out.

    A step that makes no progress for longer than `stall` loses its lease, so that others can
    try it, and `on_stall` is called.
    """

    def __init__(
        self,
        database: Database,
        lease: timedelta,
        stall: timedelta,
        on_stall: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._lease = lease
        self._stall = stall.total_seconds()
        self._on_stall = on_stall
        self._held: set[Held] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._beat_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[Held]:
        """Renews the lease of `claim` until the block ends."""
        held = Held(claim, self._lease)
        with self._lock:
            self._held.add(held)
        try:
            yield held
        finally:
            with self._lock:
                self._held.discard(held)

    def fault(self) -> str | None:
        """What only a new start of this process mends; None: nothing."""
        silent = time.monotonic() - self._beat_at
        if not self._stopped.is_set() and (silent > _SILENCE or not self._thread.is_alive()):
            return f"nobody has renewed leases for {silent:.0f} seconds"
        with self._lock:
            still = sum(held.stands_still for held in self._held)
        return f"{still} steps stand still and have lost their leases" if still else None

    def close(self) -> None:
        """Ends the thread; leases then run out by themselves."""
        self._stopped.set()
        self._thread.join(2)

    def _run(self) -> None:
        pause = self._lease.total_seconds() / 3
        while not self._stopped.wait(min(pause, _LOOK)):
            self._beat_at = time.monotonic()
            with self._lock:
                held_now = [held for held in self._held if not held.lost]
            self._find_unwanted(held_now)
            for held in held_now:
                if time.monotonic() - held.renewed_at >= pause and not held.lost:
                    self._renew(held)

    def _find_unwanted(self, held_now: list[Held]) -> None:
        """Exports that are cancelled or deleted keep nobody at work for long."""
        if not held_now:
            return
        try:
            wanted = claims.wanted(self._database, [held.claim for held in held_now])
        except Exception as error:
            logger.warning("nobody said who is waited for", extra={"error": str(error)})
            return
        for held in held_now:
            held.lost = held.claim not in wanted
            if held.lost:
                metrics.LEASES_LOST.labels("unwanted").inc()

    def _renew(self, held: Held) -> None:
        began_at = self._beat_at = time.monotonic()
        if began_at - held.moved_at > self._stall:
            held.lost = held.stands_still = True
            metrics.LEASES_LOST.labels("stalled").inc()
            logger.error(
                "a step stands still; its lease is not renewed",
                extra={
                    "request_id": held.claim.request_id,
                    "export_id": held.claim.export_id,
                    "segment": held.claim.number,
                },
            )
            self._on_stall()
            return
        try:
            if claims.renew(self._database, held.claim, self._lease):
                held.renewed_at = began_at
            else:
                held.lost = True
                metrics.LEASES_LOST.labels("taken_over").inc()
        except Unavailable:
            logger.warning("a lease was not renewed: the database does not answer")
        except Exception:
            logger.exception("a lease was not renewed")
