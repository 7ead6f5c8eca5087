"""Removals that are interrupted, and what nobody may do meanwhile."""

from datetime import timedelta

import pytest

from services.database.engine import Database
from services.database.tables import steps
from services.errors import WrongState
from services.exports import cancellation, claims, endings, progress, queries, removal, retrying
from services.exports.claims import ExportClaim, SegmentClaim
from services.exports.creation import Limits
from services.exports.endings import Failure, Keeping
from services.exports.model import ErrorCode, ExportAddress, Status, Step, archive_key
from tests.exports import object_store
from tests.service.record import Tenant, take
from tests.stack import Production
from workers.leases import ClaimLost

KEEPING = Keeping(retention=timedelta(days=30), retry_window=timedelta())


def taken_removal(database: Database) -> ExportClaim:
    claim = take(database)
    assert isinstance(claim, ExportClaim)
    assert claim.step is Step.remove
    return claim


def built(tenant: Tenant) -> str:
    """The id of an export of which a segment is built."""
    export_id = tenant.planned(2)
    claim = take(tenant.database)
    assert isinstance(claim, SegmentClaim)
    progress.segment_done(tenant.database, claim, {})
    return export_id


def test_nobody_goes_on_from_what_is_half_removed(
    empty_record: Database, production: Production
) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = built(tenant)
    address = ExportAddress(id=export_id)
    cancellation.cancel_export(empty_record, tenant.id, address, KEEPING)
    claim = taken_removal(empty_record)
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ClaimLost(export_id)

    with object_store(production) as store, pytest.raises(ClaimLost):
        removal.remove_objects(empty_record, store, claim, check)
    claims.release(empty_record, claim)
    with pytest.raises(WrongState, match="with fresh"):
        retrying.retry_export(empty_record, tenant.id, address, fresh=False, limits=Limits())
    retried = retrying.retry_export(empty_record, tenant.id, address, fresh=True, limits=Limits())
    assert retried.export.status is Status.pending


@pytest.mark.parametrize("is_deleted", [False, True])
def test_what_a_late_call_of_the_store_leaves_is_swept(
    empty_record: Database, production: Production, is_deleted: bool
) -> None:
    """As where an export is cancelled or deleted while its archive is completed."""
    tenant = Tenant.make(empty_record, "tenant")
    export_id = built(tenant)
    address = ExportAddress(id=export_id)
    if is_deleted:
        queries.delete_export(empty_record, tenant.id, address)
    else:
        failure = Failure(ErrorCode.internal, "A sentence.")
        assert endings.fail(empty_record, tenant.id, export_id, failure, KEEPING)
    key = archive_key(tenant.id, export_id)
    with object_store(production) as store:
        removal.remove_objects(empty_record, store, taken_removal(empty_record), lambda: None)
        assert take(empty_record) is None
        store.put(store.exports_bucket, key, b"late")
        with empty_record.write() as connection:
            connection.execute(steps.update().values(due_at=0))
        removal.remove_objects(empty_record, store, taken_removal(empty_record), lambda: None)
        assert store.stat(store.exports_bucket, key) is None
    assert take(empty_record) is None
    assert tenant.running == 0
    with empty_record.read() as connection:
        left = connection.execute(steps.select().where(steps.c.due_at.is_not(None))).all()
    assert left == []


def test_a_deletion_after_a_failure_is_swept_twice_too(
    empty_record: Database, production: Production
) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = built(tenant)
    failure = Failure(ErrorCode.internal, "A sentence.")
    assert endings.fail(empty_record, tenant.id, export_id, failure, KEEPING)
    with object_store(production) as store:
        removal.remove_objects(empty_record, store, taken_removal(empty_record), lambda: None)
        queries.delete_export(empty_record, tenant.id, ExportAddress(id=export_id))
        removal.remove_objects(empty_record, store, taken_removal(empty_record), lambda: None)
    with empty_record.read() as connection:
        (own,) = connection.execute(steps.select()).all()
    assert own.due_at is not None
