"""A primary that crashes, and its standby that takes over."""

import threading
from collections.abc import Iterator

import pytest

from services.database.engine import Database
from services.database.migrate import migrate
from services.errors import Unavailable
from services.exports.creation import Created, create_export
from services.exports.model import ExportRequest
from services.settings import Settings
from tests.chaos.replicas import Pair
from tests.faults.pipeline import wait_until
from tests.service.record import Tenant

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary and its synchronous standby."""
    if reason := Pair.missing():
        pytest.skip(reason)
    made = Pair()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("by", ["idempotency key", "recent duplicate"])
def test_what_is_answered_again_is_on_the_standby(pair: Pair, by: str) -> None:
    """After its crash a primary shows what it had committed and not answered."""
    url = Settings(database_url=pair.primary.create_database()).sqlalchemy_url
    database = Database(url)
    migrate(database)
    tenant = Tenant.make(database, "tenant")
    request = ExportRequest(
        "dataset",
        "export",
        "coco",
        idempotency_key="key" if by == "idempotency key" else "",
        return_recent_duplicate=by == "recent duplicate",
    )

    def create() -> Created:
        return create_export(database, tenant.id, request, lambda export: export.id.encode())

    answers: list[Created] = []

    def create_unanswered() -> None:
        try:
            answers.append(create())
        except Unavailable:
            return

    pair.standby.kill()
    creating = threading.Thread(target=create_unanswered)
    creating.start()
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_until(lambda: bool(_rows(pair, waits)), "the commit waits for the standby")
    pair.primary.kill()
    creating.join()
    assert answers == []
    pair.primary.start()
    # Sent again, to a primary that has no standby yet.
    with pytest.raises(Unavailable):
        create()
    pair.standby.start()
    pair.standby.process.wait_until(pair.primary.has_standby)
    again = create()
    pair.fail_over()
    database.close()
    found = Database(url.replace(f":{pair.standby.port}/", f":{pair.primary.port}/"))
    try:
        with found.read() as connection:
            known = connection.exec_driver_sql("SELECT id FROM exports").scalars().all()
        assert known == [again.export_id]
    finally:
        found.close()


def _rows(pair: Pair, query: str) -> list[object]:
    database = Database(Settings(database_url=pair.primary.url).sqlalchemy_url)
    try:
        with database.read() as connection:
            return list(connection.exec_driver_sql(query))
    finally:
        database.close()
