"""What the chart lets KEDA ask the database, to scale workers by."""

from datetime import timedelta

from services.database.engine import Database
from services.exports import claims
from services.exports.model import Lane
from tests.deploy.chart import of_kind, rendered
from tests.service.record import Tenant


def test_steps_that_run_and_that_may_run_are_counted(empty_record: Database) -> None:
    (trigger,) = of_kind(rendered("scaled"), "ScaledObject")["r-cartouche-worker-default"]["spec"][
        "triggers"
    ]
    query = trigger["metadata"]["query"]

    def asked() -> int:
        with empty_record.read() as connection:
            return int(connection.exec_driver_sql(query).scalar_one())

    assert asked() == 0
    Tenant.make(empty_record, "acme").planned(10)
    assert asked() == 10
    # Who works is needed, too.
    for _ in range(3):
        assert claims.claim_next(empty_record, tuple(Lane), timedelta(minutes=1), 64)
    assert asked() == 10
