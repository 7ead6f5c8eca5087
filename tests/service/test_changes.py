"""Whoever watches an export hears of its changes at once, and at the latest when he looks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from services.database.changes import Changes
from services.database.engine import Database
from services.database.tables import exports
from services.exports.model import Lane, Status
from tests.service.record import Tenant


async def until(changed: asyncio.Event) -> float:
    """Seconds until it is set; at most 10."""
    began_at = time.perf_counter()
    await asyncio.wait_for(changed.wait(), 10)
    return time.perf_counter() - began_at


def change(database: Database, export_id: str, **values: object) -> None:
    with database.write() as connection:
        connection.execute(
            exports.update()
            .where(exports.c.id == export_id)
            .values(version=exports.c.version + 1, **values)
        )


@asynccontextmanager
async def hearing(database: Database, export_id: str) -> AsyncIterator[Changes]:
    """Changes that are heard of already; PostgreSQL tells at first that any may be missed."""
    changes = Changes(database)
    changes.start()
    try:
        if not database.is_sqlite:
            with changes.of(export_id) as changed:
                await until(changed)
        yield changes
    finally:
        await changes.stop()


def test_a_change_is_heard_of_at_once(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    watched, other = tenant.create(Lane.short), tenant.create(Lane.short)

    async def scenario() -> None:
        async with hearing(database, watched) as changes:
            with changes.of(watched) as first, changes.of(watched) as second:
                change(database, watched, status=Status.processing)
                await until(first)
                await until(second)
                if database.is_sqlite:
                    return
                first.clear()
                # Not of what others watch, and of progress only now and then.
                change(database, other, status=Status.processing)
                await asyncio.sleep(0.3)
                assert not first.is_set()
                at = 1_700_000_000.0
                change(database, watched, updated_at=at)
                await until(first)
                first.clear()
                change(database, watched, updated_at=at + 0.05)
                await asyncio.sleep(0.3)
                assert not first.is_set()
                change(database, watched, updated_at=at + 0.15)
                await until(first)

    asyncio.run(scenario())


def test_reading_is_no_change(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    watched = tenant.create(Lane.short)

    async def scenario() -> None:
        async with hearing(database, watched) as changes:
            with changes.of(watched) as changed:
                for _ in range(5):
                    with database.read() as connection:
                        connection.execute(exports.select()).all()
                await asyncio.sleep(0.3)
                assert not changed.is_set()

    asyncio.run(scenario())


@pytest.mark.parametrize("empty_record", ["postgresql"], indirect=True)
def test_a_connection_that_breaks_is_made_again(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    watched = tenant.create(Lane.short)

    async def scenario() -> None:
        async with hearing(database, watched) as changes:
            with changes.of(watched) as changed:
                with database.write() as connection:
                    ended = connection.scalar(
                        text(
                            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
                        )
                    )
                assert ended == 1
                # It looks at all that it may have missed, as soon as it is back.
                await until(changed)
                changed.clear()
                change(database, watched, status=Status.processing)
                await until(changed)

    asyncio.run(scenario())
