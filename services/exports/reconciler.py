"""The reconciler: frees what died, ends what is too old, and clears away what was deleted.

It runs as a timer in every server and worker; a lease in the database lets one of them
do the sweep. It changes nothing that a claim protects.
"""

import logging
import threading
import time
from datetime import timedelta
from itertools import groupby

from sqlalchemy import select

from services import metrics
from services.catalog.deletion import purge
from services.database.clock import now_once
from services.database.engine import Database
from services.database.tables import exports, idempotency_keys
from services.database.turns import take_turn
from services.doorbell import Doorbell
from services.errors import Unavailable
from services.exports import claims, endings, queries
from services.exports.collection import collect
from services.exports.creation import IDEMPOTENCY_SECONDS
from services.exports.inventory import take_inventory
from services.exports.model import ErrorCode, Lane, Stage, Status
from services.settings import Settings
from services.storage import ObjectStore, StorageError
from services.webhooks import outbox
from services.webhooks.model import EventType

logger = logging.getLogger(__name__)

#: Exports that one sweep ends at most, of each kind.
_A_SWEEP = 1_000
_HOUSEKEEPING = timedelta(hours=1)
_INVENTORY = timedelta(hours=12)
#: Transactions in which rows of deleted datasets, and objects, go; and the share of the time for
#: which a round does more for the former, where more is left.
_PURGED, _COLLECTED = 10, 6
_CLEARING = 0.4
#: How long before its end an archive is said to go.
_EXPIRING = timedelta(days=1)
#: Seconds for a statement on as many rows as there are.
_PATIENCE = 120.0


class Reconciler:
    """The timer. `start` sweeps at once, then at every interval until `stop`."""

    def __init__(
        self, database: Database, doorbell: Doorbell, store: ObjectStore, settings: Settings
    ) -> None:
        self._database = database
        self._doorbell = doorbell
        self._store = store
        self._settings = settings
        #: When the record was last seen to be away.
        self._away_at = float("-inf")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        # Nothing is known to be wrong before an inventory, which another process may take.
        metrics.show(metrics.RECONCILED_AT, metrics.ORPHAN_BYTES, metrics.MISSING_ARCHIVES)
        endings.show_ends()
        self._thread.start()

    def end(self) -> None:
        """Ends the timer after the sweep under way."""
        self._stopped.set()

    def stop(self) -> None:
        """Ends the timer; waits for a sweep under way, at most a few seconds."""
        self.end()
        self._thread.join(5)

    def _run(self) -> None:
        interval = self._settings.reconcile_interval.total_seconds()
        while True:
            try:
                if take_turn(self._database, "sweep", 0.9 * interval):
                    # While it was away nobody could renew a lease, and nobody died of that.
                    frees = time.monotonic() - self._away_at > self._settings.lease.total_seconds()
                    sweep(self._database, self._doorbell, self._settings, frees=frees)
                if take_turn(self._database, "housekeeping", _HOUSEKEEPING.total_seconds()):
                    keep_house(self._database)
                if take_turn(self._database, "inventory", _INVENTORY.total_seconds()):
                    found = take_inventory(self._database, self._store, removes=True)
                    metrics.ORPHAN_BYTES.set(found.orphan_bytes)
                    metrics.MISSING_ARCHIVES.set(len(found.missing))
                if take_turn(self._database, "collection", 0.9 * interval):
                    until = time.monotonic() + _CLEARING * interval
                    while purge(self._database, _PURGED) and not self._stopped.is_set():
                        if time.monotonic() > until:
                            break
                    outbox.purge(self._database, _A_SWEEP)
                    collect(self._database, self._store, _COLLECTED)
                metrics.RECONCILED_AT.set_to_current_time()
            except (Unavailable, StorageError) as error:
                if isinstance(error, Unavailable):
                    self._away_at = time.monotonic()
                logger.warning("the reconciler will try again", extra={"error": str(error)})
            except Exception:
                logger.exception("the reconciler failed; it will try again")
            if self._stopped.wait(interval):
                return


def sweep(
    database: Database, doorbell: Doorbell, settings: Settings, *, frees: bool = True
) -> None:
    """One look at what has stood still or become too old; rings where there is work.

    `frees`: whether the holders of leases that ran out are taken for dead.
    """
    if frees:
        metrics.LEASES_LOST.labels("expired").inc(claims.free_expired(database))
    _fail_overdue(database, settings.export_deadline, endings.Keeping.of(settings))
    _tell_expiring(database, settings.retention)
    _expire(database)
    for lane in Lane:
        if claims.is_due(database, lane, settings.organization_steps):
            doorbell.ring(lane)


def keep_house(database: Database) -> None:
    """Removes old idempotency keys."""
    with database.write(_PATIENCE) as connection:
        connection.execute(
            idempotency_keys.delete().where(
                idempotency_keys.c.created_at < now_once() - IDEMPOTENCY_SECONDS
            )
        )


def _fail_overdue(database: Database, deadline: timedelta, keeping: endings.Keeping) -> None:
    overdue = (
        select(exports.c.organization_id, exports.c.id)
        .where(
            exports.c.stage != Stage.done,
            ~exports.c.deleted,
            exports.c.queued_at < now_once() - deadline.total_seconds(),
        )
        .limit(_A_SWEEP)
    )
    with database.read() as connection:
        found = connection.execute(overdue).all()
    for organization_id, export_id in found:
        endings.fail(
            database,
            organization_id,
            export_id,
            endings.Failure(
                ErrorCode.deadline_exceeded,
                f"The export was not finished within {deadline}: a part of the service was away "
                "or busy for too long. Retry it; what is finished stays.",
            ),
            keeping,
        )


def _tell_expiring(database: Database, retention: timedelta) -> None:
    """Tells webhooks of archives that go within a day, or the last tenth of a shorter time."""
    ahead = min(_EXPIRING, retention / 10).total_seconds()
    soon = (
        select(exports.c.organization_id, exports.c.id)
        .where(
            exports.c.expires_at < now_once() + ahead,
            exports.c.status == Status.completed,
            ~exports.c.deleted,
            ~exports.c.expiry_told,
        )
        .limit(_A_SWEEP)
    )
    with database.read() as connection:
        found = connection.execute(soon).all()
    for organization_id, export_id in found:
        with database.write() as connection:
            told = connection.execute(
                exports.update()
                .where(exports.c.id == export_id, ~exports.c.expiry_told)
                .values(expiry_told=True)
            )
            if told.rowcount:
                outbox.announce(connection, organization_id, export_id, EventType.expiring)


def _expire(database: Database) -> None:
    expired = (
        select(exports.c.organization_id, exports.c.id)
        .where(exports.c.expires_at < now_once(), ~exports.c.deleted)
        .order_by(exports.c.expires_at)
        .limit(_A_SWEEP)
    )
    with database.read() as connection:
        found = connection.execute(expired).all()
    by_owner = sorted(found, key=lambda row: row.organization_id)
    for organization_id, rows in groupby(by_owner, key=lambda row: row.organization_id):
        queries.bulk_delete_exports(database, organization_id, [row.id for row in rows])
