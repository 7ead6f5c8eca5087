"""The record of the work: who holds which step, and until when.

Every step of every export is a row of one table. A claim takes the next due one: of the
organization with the fewest running steps (of equals, of the one that waited longest), its
oldest. It increases the step's attempt number and is committed before the work starts; every
result carries that number, so a worker that was presumed dead and wakes up changes nothing.
Lease times are the database's.

Whoever changes how many steps an organization has running locks its row first, and everything
else after it: so the count is exact, and nobody waits for each other in a circle.
"""

import random
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Row,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from services.catalog.datasets import DATASET_NAME
from services.catalog.model import DatasetClass
from services.database.clock import now, now_once
from services.database.engine import Database
from services.database.tables import datasets, exports, organizations, steps
from services.exports.model import Lane, Setback, Stage, Status, Step
from services.storage import Extract
from services.work_version import WORK_VERSION

_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 60.0
#: An organization's own step among its steps.
OWN = 0
#: Workers that vanish one after the other with a step that runs alone, until that counts as one
#: death of its making. Machines are taken away, stand still or lose their network at any step,
#: while the process of such a step dies alone of what it does, and its worker lives to tell.
_VANISHED = 3
#: Looks for an organization whose turn it is, where others take its steps at the same moment.
_TRIES = 20
#: Organizations with steps in line that a look compares.
_LOOKED_AT = 200
#: Of a step: nobody holds it, and it waits for its time alone; `ix_steps_waiting` has these.
_IN_LINE = and_(~steps.c.held, steps.c.due_at.is_not(None))


@dataclass(frozen=True, slots=True)
class ExportClaim:
    """A step of an export that this worker holds: its plan, its finish or its removal."""

    export_id: str
    attempt: int
    step: Step
    lane: Lane
    #: A worker died that held this step: it runs alone from now on.
    alone: bool
    #: Processes that died while it ran alone, passing failures, and errors of our own so far.
    lost: int
    failures: int
    errors: int
    organization_id: str
    dataset_id: str
    dataset_name: str
    format: str
    include_images: bool
    class_filter: tuple[str, ...]
    status_filter: str
    include_unannotated: bool
    organize_by_split: bool
    #: The dataset's classes: as they are now for the plan, as the plan froze them later.
    classes: tuple[DatasetClass, ...]
    upload_id: str | None
    snapshot: dict[str, Any]
    segment_count: int
    #: Set once the finish step knows them.
    file_size: int | None
    crc32: int | None
    #: Of the request that made the export, or took it up again, and the trace of that.
    request_id: str
    traceparent: str

    @property
    def number(self) -> int:
        return OWN


@dataclass(frozen=True, slots=True)
class SegmentClaim:
    """A segment that this worker holds, with the export it belongs to."""

    export: ExportClaim
    number: int
    attempt: int
    alone: bool
    lost: int
    failures: int
    errors: int
    manifest_key: str
    size: int
    work: int
    #: Where the same bytes lie in an earlier archive, which may be gone.
    source: Extract | None

    @property
    def export_id(self) -> str:
        return self.export.export_id

    @property
    def organization_id(self) -> str:
        return self.export.organization_id

    @property
    def lane(self) -> Lane:
        return self.export.lane

    @property
    def step(self) -> Step:
        return Step.segment

    @property
    def request_id(self) -> str:
        return self.export.request_id

    @property
    def traceparent(self) -> str:
        return self.export.traceparent


Claim = ExportClaim | SegmentClaim


def is_due(database: Database, lane: Lane, step_cap: int) -> bool:
    """Whether somebody could claim a step of this lane now. Takes no lock.

    Raises:
        Unavailable: the database is away.
    """
    with database.read() as connection:
        return _turn(connection, lane, step_cap) is not None


def claim_next(
    database: Database, lanes: Sequence[Lane], lease: timedelta, step_cap: int
) -> Claim | None:
    """Takes the next due step of the first of the lanes that has one; None: nothing is due.

    Args:
        database: the record.
        lanes: in the order of preference.
        lease: how long the claim holds unless it is renewed.
        step_cap: steps that an organization may have running at once, unless it has a cap of
            its own.

    Raises:
        Unavailable: the database is away.
    """
    for lane in lanes:
        # Most looks find nothing, and need not wait for those who write.
        if not is_due(database, lane, step_cap):
            continue
        for _ in range(_TRIES):
            with database.write() as connection:
                organization_id = _turn(connection, lane, step_cap)
                if organization_id is None:
                    break
                if claim := _claim(connection, organization_id, lane, lease, step_cap):
                    return claim
    return None


def _turn(connection: Connection, lane: Lane, step_cap: int) -> str | None:
    """The organization whose turn it is in a lane."""
    values = {"lane": lane, "step_cap": step_cap, "begin_at": str(uuid.uuid4())}
    found: str | None = connection.scalar(_turn_query(), values)
    return found


@cache
def _turn_query() -> Select[Any]:
    """The organization whose turn it is in `lane`, of at most `step_cap` steps, looked for from
    `begin_at` on: made once, which takes longer than to ask it."""
    waiting = _who_waits()
    # Its first step, by the index: whether there is any would cost what others have waiting.
    first_due_at = (
        select(steps.c.due_at)
        .where(steps.c.organization_id == waiting.c.id, waits(bindparam("lane")))
        .order_by(steps.c.due_at)
        .limit(1)
        .correlate(waiting)
        .scalar_subquery()
    )
    # PostgreSQL would begin with all organizations.
    due = select(waiting.c.id).where(first_due_at <= now_once()).cte("due")
    due = due.prefix_with("MATERIALIZED", dialect="postgresql")
    return (
        select(organizations.c.id)
        .join(due, due.c.id == organizations.c.id)
        .where(_has_room(bindparam("step_cap", type_=Integer)))
        .order_by(organizations.c.running_steps, organizations.c.claimed_at)
        .limit(1)
    )


def _who_waits() -> CTE:
    """Organizations that have steps which nobody holds, one after the other by the index of these
    steps: of thousands most have none, and none costs what it has in line.

    At most `_LOOKED_AT` of them, from `begin_at` on, which is drawn at random: where more wait,
    turns are taken among some of them, each time others.
    """

    def first(*after: ColumnElement[bool]) -> ScalarSelect[str]:
        return select(func.min(steps.c.organization_id)).where(_IN_LINE, *after).scalar_subquery()

    start = func.coalesce(first(steps.c.organization_id >= bindparam("begin_at")), first())
    begun = select(start.label("id")).subquery()
    waiting = (
        select(begun.c.id, begun.c.id.label("began_with"), literal(1).label("place"))
        .where(begun.c.id.is_not(None))
        .cte("waiting", recursive=True)
    )
    following = func.coalesce(first(steps.c.organization_id > waiting.c.id), first())
    # Round once. SQLite does not take this as a query around another one.
    return waiting.union_all(
        select(following, waiting.c.began_with, waiting.c.place + 1).where(
            waiting.c.place < _LOOKED_AT, following != waiting.c.began_with
        )
    )


def _has_room(step_cap: int | ColumnElement[int]) -> ColumnElement[bool]:
    """Of an organization: it has fewer steps running than it may."""
    return organizations.c.running_steps < func.coalesce(organizations.c.step_cap, step_cap)


def waits(lane: Lane | ColumnElement[str]) -> ColumnElement[bool]:
    """Of a step: somebody of this version may claim it in the lane, when it is due."""
    return and_(
        steps.c.lane == lane,
        _IN_LINE,
        steps.c.version <= WORK_VERSION,
    )


def _claim(
    connection: Connection, organization_id: str, lane: Lane, lease: timedelta, step_cap: int
) -> Claim | None:
    """A claim of the organization's next step; None: others were faster."""
    # By its id: who waits for the first of several rows, and then takes another one, keeps both.
    if connection.execute(_locked(organization_id).where(_has_room(step_cap))).first() is None:
        return None
    next_step = (
        select(steps.c.export_id, steps.c.number)
        .where(
            steps.c.organization_id == organization_id,
            waits(lane),
            steps.c.due_at <= now_once(),
        )
        .order_by(steps.c.due_at, steps.c.export_id, steps.c.number)
        .limit(1)
    )
    chosen = connection.execute(next_step).one_or_none()
    if chosen is None:
        return None
    row = connection.execute(
        steps.update()
        .where(steps.c.export_id == chosen.export_id, steps.c.number == chosen.number)
        .values(held=True, attempt=steps.c.attempt + 1, due_at=now() + lease.total_seconds())
        .returning(steps)
    ).one()
    connection.execute(
        organizations.update()
        .where(organizations.c.id == organization_id)
        .values(running_steps=organizations.c.running_steps + 1, claimed_at=now())
    )
    if row.kind == Step.plan:
        connection.execute(
            exports.update()
            .where(exports.c.id == row.export_id, exports.c.status == Status.pending)
            .values(status=Status.processing, version=exports.c.version + 1, updated_at=now())
        )
        # Committed before the snapshot is taken.
        connection.execute(
            exports.update().where(exports.c.id == row.export_id).values(snapshot_at=now())
        )
    return _taken(connection, row)


def lock_turn(connection: Connection, organization_id: str) -> None:
    """Locks an organization's row, before anything else in a transaction that ends steps."""
    connection.execute(_locked(organization_id))


def _locked(organization_id: str) -> Select[Any]:
    return (
        select(organizations.c.id)
        .where(organizations.c.id == organization_id)
        .with_for_update(key_share=True)
    )


def count_ended(connection: Connection, organization_id: str, ended: int) -> None:
    """Says that so many steps of an organization run no longer."""
    if ended:
        connection.execute(
            organizations.update()
            .where(organizations.c.id == organization_id)
            .values(running_steps=organizations.c.running_steps - ended)
        )


def end_holds(connection: Connection, organization_id: str, which: ColumnElement[bool]) -> None:
    """Says that those of an organization's steps run no longer which are held: to be called before
    they are freed, and after the organization was locked."""
    held = select(func.count()).select_from(steps).where(which, steps.c.held)
    count_ended(connection, organization_id, connection.scalar(held) or 0)


def renew(database: Database, claim: Claim, lease: timedelta) -> bool:
    """Keeps a claim alive; False: it is over (done, taken over, deleted or failed)."""
    with database.write() as connection:
        renewed = connection.execute(
            steps.update()
            .where(is_held(claim), exists().where(is_wanted(claim)))
            .values(due_at=now() + lease.total_seconds())
        )
        return renewed.rowcount == 1


def wanted(database: Database, held: Sequence[Claim]) -> list[Claim]:
    """Those of the claims that still hold, and for whose results somebody waits.

    Raises:
        Unavailable: the database is away.
    """
    key = (steps.c.export_id, steps.c.number, steps.c.attempt)
    query = select(*key).where(
        or_(*(and_(is_held(claim), exists().where(is_wanted(claim))) for claim in held))
    )
    with database.read() as connection:
        found = {tuple(row) for row in connection.execute(query)}
    return [claim for claim in held if (claim.export_id, claim.number, claim.attempt) in found]


def release(database: Database, claim: Claim) -> None:
    """Gives a claim back unfinished and blameless (the worker shuts down)."""
    _give_back(database, claim, due_at=now())


def abandon(database: Database, claim: Claim) -> None:
    """Ends the hold of a claim that was lost, so that nobody waits for it to run out.

    Where it was lost by its worker's own clock alone, as the record was away, somebody takes the
    step up again at once.
    """
    _give_back(database, claim, due_at=_due_again())


def wait(database: Database, claim: Claim, pause: float) -> None:
    """Gives a claim back that waits for others, to be taken again after so many seconds."""
    _give_back(database, claim, due_at=now() + pause)


def postpone(database: Database, claim: Claim, why: Setback) -> float:
    """Gives a claim back after a passing failure, to be tried again.

    Returns the seconds until then: exponential, capped, with jitter.
    """
    pause = _backoff(claim.failures)
    _put_off(database, claim, why, pause, failures=steps.c.failures + 1)
    return pause


def count_error(database: Database, claim: Claim) -> float:
    """The same after an error of our own."""
    pause = _backoff(claim.errors)
    _put_off(database, claim, Setback.internal, pause, errors=steps.c.errors + 1)
    return pause


def count_death(database: Database, claim: Claim, why: Setback) -> float:
    """The same after the process died that had the step, or found no memory for it.

    It runs alone from now on, and counts where it did so already.
    """
    pause = _backoff(claim.lost)
    # Deaths beside other steps may be of their making.
    counted = steps.c.lost + case((steps.c.alone, 1), else_=0)
    _put_off(database, claim, why, pause, alone=True, lost=counted)
    return pause


def _backoff(count: int) -> float:
    pause: float = min(_FIRST_BACKOFF * 2.0 ** min(count, 30), _LONGEST_BACKOFF)
    return pause * random.uniform(0.5, 1.0)


def _put_off(database: Database, claim: Claim, why: Setback, pause: float, **values: Any) -> None:
    """Gives a claim back that did not get done, and says so where it is seen."""
    with database.write() as connection:
        if _gives_back(connection, claim, due_at=now() + pause, **values):
            set_back(connection, claim.export_id, why, pause)


def _give_back(database: Database, claim: Claim, **values: Any) -> None:
    with database.write() as connection:
        _gives_back(connection, claim, **values)


def _gives_back(connection: Connection, claim: Claim, **values: Any) -> bool:
    """Whether it was held until now."""
    lock_turn(connection, claim.organization_id)
    ended = connection.execute(
        # Its worker lives, and tells.
        steps.update().where(is_held(claim)).values(held=False, vanished=0, **values)
    ).rowcount
    count_ended(connection, claim.organization_id, ended)
    return ended > 0


def set_back(
    connection: Connection, export_id: str, why: Setback, pause: float = 0.0, count: int = 1
) -> None:
    """Says of an export that is under way that a part of its work, or so many, is tried again in
    so many seconds."""
    connection.execute(
        exports.update()
        .where(exports.c.id == export_id, exports.c.stage != Stage.done)
        .values(
            setbacks=exports.c.setbacks + count,
            setback=why,
            setback_at=now(),
            goes_on_at=now() + pause,
            updated_at=now(),
            version=exports.c.version + 1,
        )
    )


def free_expired(database: Database) -> int:
    """Frees the steps whose workers let their lease run out; returns how many.

    Raises:
        Unavailable: the database is away.
    """
    expired = and_(steps.c.held, steps.c.due_at < now_once())
    with database.read() as connection:
        owners = set(
            connection.scalars(
                select(organizations.c.id).where(
                    organizations.c.running_steps > 0,
                    exists().where(steps.c.organization_id == organizations.c.id, expired),
                )
            )
        )
    return sum(_free(database, organization_id, expired) for organization_id in sorted(owners))


def orphan_all(database: Database) -> None:
    """Ends every lease, as if its holder had died.

    Only for a process that knows that it is the only one.
    """
    with database.read() as connection:
        owners = set(
            connection.scalars(select(organizations.c.id).where(organizations.c.running_steps > 0))
        )
    for organization_id in sorted(owners):
        _free(database, organization_id, steps.c.held)


def _free(database: Database, organization_id: str, which: ColumnElement[bool]) -> int:
    """Frees an organization's steps, and counts anew what it has running."""
    mine = steps.c.organization_id == organization_id
    vanished = steps.c.vanished + case((steps.c.alone, 1), else_=0)
    counts = vanished >= _VANISHED
    with database.write() as connection:
        lock_turn(connection, organization_id)
        freed = connection.scalars(
            steps.update()
            .where(mine, which)
            .values(
                held=False,
                vanished=case((counts, 0), else_=vanished),
                lost=steps.c.lost + case((counts, 1), else_=0),
                alone=True,
                due_at=_due_again(),
            )
            .returning(steps.c.export_id)
        ).all()
        for export_id, count in Counter(freed).items():
            set_back(connection, export_id, Setback.worker_lost, count=count)
        running = select(func.count()).where(mine, steps.c.held).scalar_subquery()
        connection.execute(
            organizations.update()
            .where(organizations.c.id == organization_id)
            .values(running_steps=running)
        )
        return len(freed)


def _due_again() -> ColumnElement[float | None]:
    """Of a step that is held no more: when it may be claimed. The segments of an export that has
    ended are nobody's work any more."""
    return case(
        (
            or_(
                steps.c.kind != Step.segment,
                exists().where(is_building(), exports.c.id == steps.c.export_id),
            ),
            now(),
        ),
        else_=null(),
    )


def is_held(claim: Claim) -> ColumnElement[bool]:
    """Of a step: this very claim holds it."""
    return and_(
        steps.c.export_id == claim.export_id,
        steps.c.number == claim.number,
        steps.c.attempt == claim.attempt,
        steps.c.held,
    )


def is_wanted(claim: Claim) -> ColumnElement[bool]:
    """Of an export: it is the claim's, and still waits for what the claim does."""
    if claim.step is Step.segment:
        return and_(exports.c.id == claim.export_id, is_building())
    if claim.step is Step.remove:
        return exports.c.id == claim.export_id
    return and_(
        exports.c.id == claim.export_id,
        exports.c.stage == Stage(claim.step),
        ~exports.c.deleted,
    )


def is_held_and_wanted(claim: Claim) -> ColumnElement[bool]:
    """Of an export: it waits for what this very claim does, which still holds its step."""
    return and_(is_wanted(claim), exists().where(is_held(claim)))


def is_building() -> ColumnElement[bool]:
    """Of an export: its segments are being built."""
    return and_(exports.c.stage == Stage.build, ~exports.c.deleted)


def _taken(connection: Connection, step: Row[Any]) -> Claim:
    query = (
        select(exports, DATASET_NAME.label("dataset_name"), datasets.c.classes)
        .join(datasets, datasets.c.id == exports.c.dataset_id)
        .where(exports.c.id == step.export_id)
    )
    row = connection.execute(query).one()
    snapshot = row.snapshot or {}
    export = ExportClaim(
        export_id=row.id,
        attempt=step.attempt,
        step=Step(step.kind),
        lane=Lane(step.lane),
        alone=step.alone,
        lost=step.lost,
        failures=step.failures,
        errors=step.errors,
        organization_id=row.organization_id,
        dataset_id=row.dataset_id,
        dataset_name=row.dataset_name,
        format=row.format,
        include_images=row.include_images,
        class_filter=tuple(row.class_filter),
        status_filter=row.status_filter,
        include_unannotated=row.include_unannotated,
        organize_by_split=row.organize_by_split,
        classes=tuple(
            DatasetClass.from_json(value) for value in snapshot.get("classes", row.classes)
        ),
        upload_id=row.upload_id,
        snapshot=snapshot,
        segment_count=row.segment_count,
        file_size=row.file_size,
        crc32=row.crc32,
        request_id=row.request_id,
        traceparent=row.traceparent,
    )
    if step.kind != Step.segment:
        return export
    return SegmentClaim(
        export=export,
        number=step.number,
        attempt=step.attempt,
        alone=step.alone,
        lost=step.lost,
        failures=step.failures,
        errors=step.errors,
        manifest_key=step.manifest_key,
        size=step.size,
        work=step.work,
        source=Extract(**step.source) if step.source else None,
    )
