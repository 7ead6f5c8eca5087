"""What the chart lets KEDA ask the database, to scale workers by."""

from datetime import timedelta

from services.database.engine import Database
from services.exports import claims
from services.exports.model import Lane
from tests.deploy.chart import of_kind, rendered
from tests.service.record import Tenant


def query_of(group: str) -> str:
    """What KEDA asks for a group of workers."""
    scaled = of_kind(rendered("scaled"), "ScaledObject")[f"r-cartouche-worker-{group}"]
    (trigger,) = scaled["spec"]["triggers"]
    return str(trigger["metadata"]["query"])


def test_steps_that_run_and_that_may_run_are_counted(empty_record: Database) -> None:
    def asked(group: str) -> int:
        with empty_record.read() as connection:
            return int(connection.exec_driver_sql(query_of(group)).scalar_one())

    assert (asked("default"), asked("large")) == (0, 0)
    tenant = Tenant.make(empty_record, "acme")
    tenant.planned(10)
    # `large` takes long exports alone.
    tenant.create(Lane.short)
    assert (asked("default"), asked("large")) == (11, 10)
    # Who works is needed, too.
    for _ in range(3):
        assert claims.claim_next(empty_record, (Lane.long,), timedelta(minutes=1), 64)
    assert (asked("default"), asked("large")) == (11, 10)
    assert claims.claim_next(empty_record, (Lane.short,), timedelta(minutes=1), 64)
    assert (asked("default"), asked("large")) == (11, 10)
