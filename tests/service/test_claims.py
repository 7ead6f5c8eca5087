"""Who gets which step, and when: on SQLite and PostgreSQL."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import exports, organizations, steps
from services.errors import QuotaExceeded
from services.exports import bells, claims, creation, endings, progress, queries, retrying
from services.exports.claims import Claim, SegmentClaim
from services.exports.endings import Failure, Keeping
from services.exports.model import ErrorCode, ExportAddress, Lane, Setback, Step
from services.work_version import WORK_VERSION
from tests.service.record import BOTH, CAP, LEASE, Tenant, take

FAILURE = Failure(ErrorCode.internal, "enough")
KEEPING = Keeping(retention=timedelta(), retry_window=timedelta())


@pytest.fixture
def database(empty_record: Database) -> Database:
    return empty_record


def test_a_cap_holds_among_many_claimers(database: Database) -> None:
    """The condition is in the claim itself: nobody is ever over it, and nobody starves."""
    tenants = [Tenant.make(database, f"tenant {number}") for number in range(3)]
    for tenant in tenants:
        tenant.planned(40)
    with ThreadPoolExecutor(32) as pool:
        start = threading.Barrier(32)

        def claimer(_: int) -> list[Claim]:
            start.wait()
            found = []
            while claim := take(database, cap=7):
                found.append(claim)
            return found

        taken = [claim for found in pool.map(claimer, range(32)) for claim in found]
    assert Counter(claim.organization_id for claim in taken) == {t.id: 7 for t in tenants}
    assert len({(claim.export_id, claim.number) for claim in taken}) == len(taken)
    assert [tenant.running for tenant in tenants] == [7, 7, 7]


def test_every_step_is_claimed_once_among_many_claimers(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    tenant.planned(100)
    with ThreadPoolExecutor(16) as pool:

        def claimer(_: int) -> list[int]:
            numbers = []
            while claim := take(database):
                assert isinstance(claim, SegmentClaim)
                numbers.append(claim.number)
                assert progress.segment_done(database, claim, {}) is progress.Counted.more
                if len(numbers) == 6:
                    break
            return numbers

        done = sorted(number for found in pool.map(claimer, range(16)) for number in found)
    assert done == sorted(set(done))
    assert tenant.running == 0


def test_steps_of_a_newer_version_are_left_to_its_workers(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    tenant.planned(2)
    with database.write() as connection:
        connection.execute(
            steps.update()
            .where(steps.c.kind == Step.segment, steps.c.number == 1)
            .values(version=WORK_VERSION + 1, kind="sweep")
        )
    taken = take(database)
    assert isinstance(taken, SegmentClaim)
    assert taken.number == 2
    assert take(database) is None
    for lane in Lane:
        assert not claims.is_due(database, lane, CAP)


def test_organizations_take_turns(database: Database) -> None:
    large, small, other = (Tenant.make(database, name) for name in ("large", "small", "other"))
    for _ in range(20):
        large.create()
    for tenant in (small, other):
        tenant.create()
        tenant.create()
    order = []
    while claim := take(database):
        order.append(claim.organization_id)
    assert set(order[:3]) == set(order[3:6]) == {large.id, small.id, other.id}
    assert set(order[6:]) == {large.id}


def test_of_very_many_that_wait_nobody_is_left_out(database: Database) -> None:
    """A look compares some of them."""
    tenants = _make_many(database, 450, with_work=True)
    taken = []
    while claim := take(database):
        taken.append(claim.organization_id)
    assert sorted(taken) == sorted(tenants)


def test_organizations_without_work_cost_nothing(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    tenant.create()
    before = _effort(database)
    _make_many(database, 3_000, with_work=False)
    assert 0 < _effort(database) <= 2 * before


def _make_many(database: Database, count: int, *, with_work: bool) -> list[str]:
    """The ids of so many organizations, each with a step that is due or none."""
    tenant = Tenant.make(database, "the first of many")
    export_id = tenant.create()
    ids = [str(uuid.uuid4()) for _ in range(count)]
    with database.write() as connection:
        connection.execute(
            organizations.insert(),
            [{"id": id, "name": id, "created_at": 0} for id in ids],
        )
        if with_work:
            for table, key, others in (
                (exports, exports.c.id, ["name", "organization_id"]),
                (steps, steps.c.export_id, ["organization_id"]),
            ):
                (row,) = connection.execute(select(table).where(key == export_id)).mappings()
                copies = [{**row, **dict.fromkeys([key.name, *others], id)} for id in ids]
                connection.execute(table.insert(), copies)
        connection.execute(steps.delete().where(steps.c.export_id == export_id))
    if not database.is_sqlite:
        with database.read() as connection:
            connection.execute(text("ANALYZE organizations, steps"))
    return ids if with_work else []


def _effort(database: Database) -> int:
    """What a look for work costs: rows that PostgreSQL visits, or steps of SQLite's machine."""
    values = {"lane": Lane.short, "step_cap": CAP, "begin_at": str(uuid.uuid4())}
    query = (
        claims._turn_query()
        .params(values)
        .compile(database.engine, compile_kwargs={"literal_binds": True})
    )
    with database.read() as connection:
        if not database.is_sqlite:
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
            return _rows_visited(explained.scalar_one()[0]["Plan"])
        machine_steps = 0

        def count() -> None:
            nonlocal machine_steps
            machine_steps += 1

        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
        try:
            connection.exec_driver_sql(str(query)).all()
        finally:
            driver.set_progress_handler(None, 0)
        return machine_steps


def _rows_visited(node: dict[str, Any]) -> int:
    seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    seen += node.get("Rows Removed by Join Filter", 0)
    return int(seen * node["Actual Loops"]) + sum(map(_rows_visited, node.get("Plans", ())))


def test_short_steps_come_first_and_age_decides_in_an_organization(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    long = [tenant.create(Lane.long) for _ in range(2)]
    short = [tenant.create(Lane.short) for _ in range(2)]
    order = [claim.export_id for _ in range(4) if (claim := take(database))]
    assert order == [*short, *long]


def test_a_lane_is_an_argument_of_the_claim(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    export_id = tenant.create(Lane.long)
    assert take(database, (Lane.short,)) is None
    claim = take(database, (Lane.long,))
    assert claim is not None
    assert claim.export_id == export_id


def test_who_waits_for_a_pause_keeps_nobody_waiting(database: Database) -> None:
    paused, other = Tenant.make(database, "paused"), Tenant.make(database, "other")
    paused.create()
    with database.write() as connection:
        # The next pause is half a minute at least.
        connection.execute(steps.update().values(failures=20))
    claim = take(database)
    assert claim is not None
    assert claims.postpone(database, claim, Setback.store_unavailable) > 0
    expected = other.create()
    found = take(database)
    assert found is not None
    assert found.export_id == expected
    assert take(database) is None
    assert paused.running == 0


def test_a_worker_that_died_gives_its_steps_back_and_is_counted(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    tenant.create()
    claim = claims.claim_next(database, BOTH, timedelta(seconds=-1), CAP)
    assert claim is not None
    assert take(database) is None
    assert claims.free_expired(database) == 1
    assert tenant.running == 0
    again = take(database)
    assert again is not None
    # It held other steps too, perhaps: only a death alone counts.
    assert (again.alone, again.lost, again.attempt) == (True, 0, claim.attempt + 1)
    # The one who was presumed dead changes nothing any more.
    assert not claims.renew(database, claim, LEASE)
    claims.release(database, claim)
    assert tenant.running == 1


def test_what_passes_is_tried_however_often_it_failed(database: Database) -> None:
    """Until the deadline: nothing counts the tries down."""
    tenant = Tenant.make(database, "tenant")
    tenant.create()
    with database.write() as connection:
        connection.execute(steps.update().values(failures=10_000))
    claim = take(database)
    assert claim is not None
    assert 0 < claims.postpone(database, claim, Setback.store_unavailable) <= 60
    with database.write() as connection:
        assert connection.scalar(select(steps.c.due_at)) is not None
        connection.execute(steps.update().values(due_at=0))
    again = take(database)
    assert again is not None
    assert (again.failures, again.errors, again.lost) == (10_001, 0, 0)


def test_a_claim_lost_by_the_workers_own_clock_is_taken_up_again(database: Database) -> None:
    """The record was away for longer than the lease, and nobody freed the step meanwhile."""
    tenant = Tenant.make(database, "tenant")
    export_id = tenant.planned(1)
    claim = claims.claim_next(database, BOTH, timedelta(seconds=-1), CAP)
    assert isinstance(claim, SegmentClaim)
    claims.abandon(database, claim)
    assert tenant.running == 0
    again = take(database)
    assert isinstance(again, SegmentClaim)
    # Nobody died of it.
    assert (again.export_id, again.alone, again.lost) == (export_id, False, 0)
    # Where nobody waits for it any more, nobody takes it.
    assert endings.fail(database, tenant.id, export_id, FAILURE, KEEPING)
    claims.abandon(database, again)
    left = take(database)
    assert left is not None
    assert left.step is Step.remove
    assert take(database) is None


def test_only_deaths_of_steps_that_run_alone_are_counted(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    tenant.create()
    # One that found no memory beside others.
    first = take(database)
    assert first is not None
    claims.count_death(database, first, Setback.worker_lost)
    with database.write() as connection:
        assert connection.scalar(select(steps.c.lost)) == 0
        connection.execute(steps.update().values(due_at=0))

    def vanish() -> int:
        """Somebody takes the step, and is not heard of again; the deaths that it has then."""
        claim = claims.claim_next(database, BOTH, timedelta(seconds=-1), CAP)
        assert claim is not None
        assert claim.alone
        assert claims.free_expired(database) == 1
        with database.read() as connection:
            return connection.scalar(select(steps.c.lost)) or 0

    # Workers that vanish are to be expected: three of them in a row are one death.
    assert [vanish() for _ in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert vanish() == 2
    # Somebody lives, and gives it back: what vanished before was not its doing.
    claim = take(database)
    assert claim is not None
    claims.release(database, claim)
    assert [vanish() for _ in range(5)] == [2, 2, 3, 3, 3]
    claim = take(database)
    assert claim is not None
    # Its process died, and its worker tells.
    claims.count_death(database, claim, Setback.out_of_memory)
    with database.write() as connection:
        found = connection.execute(select(steps.c.lost, steps.c.held)).one()
        assert tuple(found) == (4, False)
    assert take(database) is None
    assert tenant.running == 0


def test_what_is_tried_again_is_told_with_its_reason(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    export_id = tenant.planned(2)

    def told() -> tuple[int, str] | None:
        found = queries.get_export(database, tenant.id, ExportAddress(id=export_id))
        if found.retries is None:
            return None
        assert found.retries.next_at is not None
        assert found.retries.at <= found.retries.next_at <= found.retries.at + 60
        seen.append(found.version)
        return found.retries.count, found.retries.why

    seen: list[int] = []
    assert told() is None
    first, second = take(database), take(database)
    assert first is not None
    assert second is not None
    # Who shuts down gives back blamelessly.
    claims.release(database, first)
    assert told() is None
    first = take(database)
    assert first is not None
    pause = claims.postpone(database, first, Setback.store_unavailable)
    assert told() == (1, "store_unavailable")
    found = queries.get_export(database, tenant.id, ExportAddress(id=export_id)).retries
    assert found is not None
    assert (found.next_at or 0) - found.at == pytest.approx(pause, abs=0.01)
    claims.count_error(database, second)
    assert told() == (2, "internal")
    # A result of one that was presumed dead says nothing.
    claims.postpone(database, second, Setback.store_unavailable)
    assert told() == (2, "internal")
    with database.write() as connection:
        connection.execute(steps.update().where(steps.c.number > 0).values(due_at=0))
    for _ in range(2):
        assert claims.claim_next(database, BOTH, timedelta(seconds=-1), CAP)
    assert claims.free_expired(database) == 2
    assert told() == (4, "worker_lost")
    third = take(database)
    assert third is not None
    assert endings.restart_archive(database, third, "upload", "another", Setback.upload_lost)
    assert told() == (5, "upload_lost")
    # Each of them is seen by who watches, and nothing twice.
    assert seen == sorted(seen)
    assert len(set(seen)) == len(seen) - 1 == 4
    assert endings.fail(database, tenant.id, export_id, FAILURE, KEEPING)
    with database.write() as connection:
        connection.execute(steps.update().where(steps.c.number == 0).values(due_at=0))
    removal = take(database)
    assert removal is not None
    assert removal.step is Step.remove
    claims.postpone(database, removal, Setback.store_unavailable)
    ended = queries.get_export(database, tenant.id, ExportAddress(id=export_id)).retries
    assert ended is not None
    assert (ended.count, ended.why, ended.next_at) == (5, "upload_lost", None)
    # Whoever takes it up again begins to count anew.
    retrying.retry_export(
        database, tenant.id, ExportAddress(id=export_id), fresh=True, limits=creation.Limits()
    )
    assert told() is None


def test_a_keeper_hears_who_is_waited_for(database: Database) -> None:
    tenant = Tenant.make(database, "tenant")
    ids, held = [], []
    for _ in range(3):
        ids.append(tenant.planned(2))
        held += [claim for _ in range(2) if (claim := take(database))]
    assert claims.wanted(database, held) == held
    queries.delete_export(database, tenant.id, ExportAddress(id=ids[0]))
    assert endings.fail(database, tenant.id, ids[1], FAILURE, KEEPING)
    left = [claim for claim in held if claim.export_id == ids[2]]
    assert claims.wanted(database, held) == left
    claims.release(database, left[0])
    assert claims.wanted(database, held) == left[1:]


@pytest.mark.parametrize("ending", ["delete", "fail"])
def test_nobody_claims_what_has_ended_and_removal_waits(database: Database, ending: str) -> None:
    tenant = Tenant.make(database, "tenant")
    export_id = tenant.planned(5)
    held = take(database)
    assert held is not None
    if ending == "delete":
        queries.delete_export(database, tenant.id, ExportAddress(id=export_id))
    else:
        assert endings.fail(database, tenant.id, export_id, FAILURE, KEEPING)
    remove = take(database)
    assert remove is not None
    assert remove.step is Step.remove
    assert take(database) is None
    assert tenant.running == 2
    assert not claims.renew(database, held, LEASE)
    claims.abandon(database, held)
    assert tenant.running == 1


def test_a_quota_says_how_many_wait_and_what_to_do(database: Database) -> None:
    tenant, other = Tenant.make(database, "tenant"), Tenant.make(database, "other")
    for _ in range(3):
        tenant.create(pending_quota=3)
    with pytest.raises(QuotaExceeded, match="3 exports of the organization wait") as refused:
        tenant.create(pending_quota=3)
    assert int(refused.value.metadata["retry_after"]) <= 120
    other.create(pending_quota=3)
    assert take(database) is not None
    assert take(database) is not None
    tenant.create(pending_quota=3)


def test_updates_of_an_export_stay_on_its_page(empty_record: Database) -> None:
    """Its segments change it again and again: no index is to change with it."""
    if empty_record.is_sqlite:
        pytest.skip("SQLite has no heap-only tuples")
    tenant = Tenant.make(empty_record, "tenant")
    tenant.planned(200)
    while claim := take(empty_record):
        if not isinstance(claim, SegmentClaim):
            break
        progress.segment_done(empty_record, claim, {})
    # A connection that ends tells at once what it did.
    empty_record.close()
    query = text(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'exports'"
    )
    deadline = time.monotonic() + 20
    while True:
        with empty_record.read() as connection:
            updated, hot = connection.execute(query).one()
        if updated >= 200 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert updated >= 200
    assert hot / updated > 0.9


def test_bells_do_not_pile_up(database: Database) -> None:
    assert bells.may_ring(database, Lane.short, 5)
    assert not bells.may_ring(database, Lane.short, 5)
    assert bells.may_ring(database, Lane.long, 5)
    bells.heard(database, Lane.short)
    assert bells.may_ring(database, Lane.short, 5)
    # One that nobody heard is rung again after a while.
    assert not bells.may_ring(database, Lane.long, 5)
    bells.heard(database, Lane.long)
    assert bells.may_ring(database, Lane.long, -1)
    assert bells.may_ring(database, Lane.long, 5)


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked in the block."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_a_look_that_finds_nothing_writes_nothing(database: Database) -> None:
    Tenant.make(database, "tenant")
    with statements(database) as asked:
        assert take(database) is None
    assert [s for s, _ in asked if s.startswith(("UPDATE", "INSERT", "BEGIN IMMEDIATE"))] == []


def test_a_look_costs_the_same_whatever_waits(database: Database) -> None:
    """PostgreSQL says how many rows it read; neither plan sorts or reads what waits."""
    tenants = [Tenant.make(database, f"tenant {number}") for number in range(20)]
    crowded = tenants[0].create(Lane.long)
    with database.write() as connection:
        moment = connection.scalar(select(now()))
        for first in range(1, 100_001, 10_000):
            connection.execute(
                steps.insert(),
                [
                    {
                        "export_id": crowded,
                        "number": number,
                        "kind": Step.segment,
                        "organization_id": tenants[number % 20].id,
                        "lane": Lane.long,
                        "due_at": moment,
                    }
                    for number in range(first, first + 10_000)
                ],
            )
        if not database.is_sqlite:
            connection.execute(text("ANALYZE"))
    with statements(database) as asked:
        assert take(database) is not None
    with database.write() as connection:
        for statement, parameters in asked:
            if not statement.startswith(("SELECT", "UPDATE")) or "FROM exports" in statement:
                continue
            if database.is_sqlite:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                details = [row.detail for row in plan]
                assert not [d for d in details if d.startswith("SCAN steps") or "B-TREE" in d]
            else:
                rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
                lines = list(rows)
                assert not [line for line in lines if "Seq Scan on steps" in line], lines
                assert not [line for line in lines if "Sort" in line and "steps" in line], lines
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(exports)) == 1
