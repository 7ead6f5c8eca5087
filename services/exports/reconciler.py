"""The reconciler: rings again for whatever stands still, and ends what is too old.

It runs as a timer in every server and worker; a lease in the database lets one of them
do the sweep. It changes nothing that a claim protects.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ScalarSelect, and_, exists, or_, select
from sqlalchemy.exc import IntegrityError

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import export_segments, exports, idempotency_keys, leases
from services.doorbell import Bell, Doorbell
from services.errors import Unavailable
from services.exports import endings
from services.exports.creation import IDEMPOTENCY_SECONDS
from services.exports.model import Step
from services.settings import Settings
from services.storage import ObjectStore, StorageError

logger = logging.getLogger(__name__)

_RINGS_A_SWEEP = 5_000
_STALE_UPLOAD = timedelta(days=2)
_HOUSEKEEPING = timedelta(hours=1)
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
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the timer; waits for a sweep under way."""
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        interval = self._settings.reconcile_interval.total_seconds()
        while True:
            try:
                if take_turn(self._database, "sweep", 0.9 * interval):
                    sweep(self._database, self._doorbell, self._settings)
                if take_turn(self._database, "housekeeping", _HOUSEKEEPING.total_seconds()):
                    keep_house(self._database, self._store)
            except (Unavailable, StorageError) as error:
                logger.warning("the reconciler will try again", extra={"error": str(error)})
            except Exception:
                logger.exception("the reconciler failed; it will try again")
            if self._stopped.wait(interval):
                return


def take_turn(database: Database, name: str, seconds: float) -> bool:
    """Whether this process may do the job called `name` now; nobody else may for `seconds`."""
    turn = (
        leases.update()
        .where(leases.c.name == name, leases.c.lease_until <= now())
        .values(lease_until=now() + seconds)
    )
    with database.write() as connection:
        if connection.execute(turn).rowcount:
            return True
        if connection.execute(select(leases.c.name).where(leases.c.name == name)).first():
            return False
    try:
        with database.write() as connection:
            connection.execute(leases.insert().values(name=name, lease_until=now() + seconds))
    except IntegrityError:
        return False
    return True


def sweep(database: Database, doorbell: Doorbell, settings: Settings) -> None:
    """One look at all exports that have not ended, and at those that must go."""
    _fail_overdue(database, settings.export_deadline)
    _expire(database)
    # A bell that nobody heard for half a lease was lost.
    for bell, *arguments in _due(database, settings.lease.total_seconds() / 2):
        doorbell.ring(Bell(bell), *arguments)


def keep_house(database: Database, store: ObjectStore) -> None:
    """Removes what no export needs: old uploads in the store, old idempotency keys."""
    with database.write(_PATIENCE) as connection:
        connection.execute(
            idempotency_keys.delete().where(
                idempotency_keys.c.created_at < _now_once() - IDEMPOTENCY_SECONDS
            )
        )
    for upload in store.list_uploads():
        if datetime.now(UTC) - upload.started_at < _STALE_UPLOAD:
            continue
        with database.read() as connection:
            if connection.scalar(
                select(exports.c.id).where(exports.c.upload_id == upload.upload_id)
            ):
                continue
        store.abort_upload(upload.key, upload.upload_id)


def _fail_overdue(database: Database, deadline: timedelta) -> None:
    overdue = select(exports.c.id).where(
        exports.c.step.in_([Step.plan, Step.build, Step.finish]),
        ~exports.c.deleted,
        exports.c.created_at < now() - deadline.total_seconds(),
    )
    with database.read() as connection:
        ids = list(connection.scalars(overdue))
    for export_id in ids:
        endings.fail(
            database,
            export_id,
            f"The export was not finished within {deadline}. Check that workers run and that "
            "the object store answers, then create it again.",
        )


def _expire(database: Database) -> None:
    with database.write(_PATIENCE) as connection:
        connection.execute(
            exports.update()
            .where(exports.c.expires_at < _now_once(), ~exports.c.deleted)
            .values(deleted=True, updated_at=now(), version=exports.c.version + 1)
        )


def _now_once() -> ScalarSelect[float]:
    """The time, asked for once: PostgreSQL searches no index for a value that may change from
    row to row."""
    return select(now()).scalar_subquery()


def _due(database: Database, patience: float) -> list[tuple[Any, ...]]:
    """What must be rung, marked as rung; what rang less than `patience` seconds ago waits."""
    quiet = now() - patience
    free = or_(exports.c.lease_until.is_(None), exports.c.lease_until < now())
    steps = and_(
        exports.c.step.in_([Step.plan, Step.finish]),
        ~exports.c.deleted,
        free,
        exports.c.not_before <= now(),
        exports.c.rung_at < quiet,
    )
    segment = export_segments
    waiting = and_(
        ~segment.c.done,
        segment.c.not_before <= now(),
        segment.c.rung_at < quiet,
        exports.c.step == Step.build,
        ~exports.c.deleted,
        or_(
            # Its worker died, or gave it back.
            segment.c.lease_until < now(),
            and_(segment.c.lease_until.is_(None), segment.c.rung_at == 0),
            # Nothing at all moves: the bells were lost.
            and_(segment.c.lease_until.is_(None), exports.c.updated_at < quiet),
        ),
    )
    busy = exists().where(segment.c.export_id == exports.c.id, segment.c.lease_until >= now())
    leftovers = and_(
        or_(exports.c.deleted, and_(exports.c.step == Step.done, exports.c.staged)),
        free,
        ~busy,
        exports.c.rung_at < quiet,
    )
    due: list[tuple[Any, ...]] = []
    with database.write() as connection:
        for export_id, step in connection.execute(
            select(exports.c.id, exports.c.step).where(steps).limit(_RINGS_A_SWEEP)
        ):
            due.append((Bell.plan_export if step == Step.plan else Bell.finish_export, export_id))
        due.extend(
            (Bell.remove_export, export_id)
            for export_id in connection.scalars(
                select(exports.c.id).where(leftovers).limit(_RINGS_A_SWEEP)
            )
        )
        if due:
            connection.execute(
                exports.update()
                .where(exports.c.id.in_([row[1] for row in due]))
                .values(rung_at=now())
            )
        segments = connection.execute(
            select(segment.c.export_id, segment.c.number)
            .join(exports, exports.c.id == segment.c.export_id)
            .where(waiting)
            .order_by(exports.c.created_at, segment.c.number)
            .limit(_RINGS_A_SWEEP)
        ).all()
        for export_id, number in segments:
            connection.execute(
                segment.update()
                .where(segment.c.export_id == export_id, segment.c.number == number)
                .values(rung_at=now())
            )
            due.append((Bell.build_segment, export_id, number))
    return due
