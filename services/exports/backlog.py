"""How much work waits in the record: what tells whether there are enough workers."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, literal, select

from services import metrics
from services.database.clock import now_once
from services.database.engine import Database
from services.database.tables import exports, organizations, steps
from services.exports.claims import waits
from services.exports.model import Lane, Stage, Status
from services.formats.registry import FORMATS

#: Exports that are counted at most, and steps of one organization: what a look costs is bounded.
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not finished."""

    #: Exports that have not ended, by status and format; the oldest 10,000.
    unfinished: dict[tuple[str, str], int]
    #: Seconds since the oldest of each status was asked for.
    oldest: dict[str, float]
    #: Steps that workers could claim now, within the caps of organizations, by lane.
    runnable: dict[str, int]
    #: Steps that workers hold.
    running: int


def backlog(database: Database, step_cap: int) -> Backlog:
    """Reads it. `step_cap`: steps that an organization without a cap of its own may have running.

    Raises:
        Unavailable: the database is away.
    """
    with database.read() as connection:
        unfinished, oldest = _unfinished(connection)
        running = connection.scalar(select(func.sum(organizations.c.running_steps))) or 0
        return Backlog(unfinished, oldest, _runnable(connection, step_cap), running)


def show_backlog(database: Database, step_cap: int) -> None:
    """Reads the backlog into the metrics of this process, which show none where it cannot.

    Raises:
        Unavailable: the database is away.
    """
    gauges = (metrics.EXPORTS_UNFINISHED, metrics.OLDEST_EXPORT_SECONDS, metrics.RUNNABLE_STEPS)
    try:
        found = backlog(database, step_cap)
    except Exception:
        for gauge in gauges:
            gauge.clear()
        raise
    for status in (Status.pending, Status.processing):
        for format in FORMATS:
            number = found.unfinished.get((status, format), 0)
            metrics.EXPORTS_UNFINISHED.labels(status, format).set(number)
        metrics.OLDEST_EXPORT_SECONDS.labels(status).set(found.oldest.get(status, 0.0))
    for lane in Lane:
        metrics.RUNNABLE_STEPS.labels(lane).set(found.runnable.get(lane, 0))
    metrics.show(metrics.RUNNING_STEPS, metrics.RECORD_LOOKED_AT)
    metrics.RUNNING_STEPS.set(found.running)
    metrics.RECORD_LOOKED_AT.set_to_current_time()


def _unfinished(connection: Connection) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
    # By the index of what has not ended.
    some = (
        select(exports.c.status, exports.c.format, exports.c.queued_at)
        .where(exports.c.stage != Stage.done, ~exports.c.deleted)
        .order_by(exports.c.queued_at)
        .limit(_MOST)
        .subquery()
    )
    rows = connection.execute(
        select(
            some.c.status,
            some.c.format,
            func.count().label("number"),
            (now_once() - func.min(some.c.queued_at)).label("age"),
        ).group_by(some.c.status, some.c.format)
    ).all()
    oldest: dict[str, float] = {}
    for row in rows:
        oldest[row.status] = max(oldest.get(row.status, 0.0), row.age or 0.0)
    return {(row.status, row.format): row.number for row in rows}, oldest


def _runnable(connection: Connection, step_cap: int) -> dict[str, int]:
    room = func.coalesce(organizations.c.step_cap, step_cap) - organizations.c.running_steps
    due = {
        lane: (
            select(func.count())
            .select_from(
                select(literal(1))
                .where(
                    steps.c.organization_id == organizations.c.id,
                    waits(lane),
                    steps.c.due_at <= now_once(),
                )
                .limit(_MOST)
                .correlate(organizations)
                .subquery()
            )
            .scalar_subquery()
        )
        for lane in Lane
    }
    has_due = select(literal(1)).where(
        steps.c.organization_id == organizations.c.id,
        ~steps.c.held,
        steps.c.due_at <= now_once(),
    )
    query = select(
        room.label("room"), *(counted.label(str(lane)) for lane, counted in due.items())
    ).where(room > 0, has_due.exists())
    runnable = dict.fromkeys(map(str, Lane), 0)
    for row in connection.execute(query).mappings():
        left = row["room"]
        # Short steps are taken first.
        for lane in Lane:
            taken = min(left, row[str(lane)])
            runnable[str(lane)] += taken
            left -= taken
    return runnable
