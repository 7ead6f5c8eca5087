"""Failed exports that are taken up again, and running ones that are cancelled."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from sqlalchemy import select

from services.database.engine import Database
from services.database.tables import exports, steps
from services.errors import QuotaExceeded, Unavailable, WrongState
from services.exports import cancellation, claims, endings, progress, queries, retrying
from services.exports.claims import ExportClaim, SegmentClaim
from services.exports.creation import Limits
from services.exports.endings import Failure, Keeping
from services.exports.model import ErrorCode, Export, ExportAddress, Lane, Status, Step
from services.exports.progress import Counted
from services.work_version import WORK_VERSION
from tests.datasets import Picture, noise_jpeg, put, put_all, unique
from tests.exports import (
    PATIENCE,
    completed,
    create,
    download,
    get,
    left_of,
    object_store,
    stub,
    unzip,
    watch,
)
from tests.service.conftest import Large
from tests.service.record import Tenant, take
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports"
KEEPING = Keeping(retention=timedelta(days=30), retry_window=timedelta(days=1))
CODES = [code for code in ErrorCode if code not in (ErrorCode.cancelled, ErrorCode.selection_empty)]


def retry(tenant: Tenant, export_id: str, *, fresh: bool = False, short_bytes: int = -1) -> Export:
    retried = retrying.retry_export(
        tenant.database,
        tenant.id,
        ExportAddress(id=export_id),
        fresh=fresh,
        limits=Limits(pending_quota=3, short_bytes=short_bytes),
    )
    return retried.export


def take_segment(database: Database) -> SegmentClaim:
    claim = take(database)
    assert isinstance(claim, SegmentClaim)
    return claim


@pytest.mark.parametrize("code", CODES)
def test_a_retry_goes_on_from_the_finished_segments(empty_record: Database, code: str) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.planned(4)
    for _ in range(2):
        done = take_segment(empty_record)
        assert progress.segment_done(empty_record, done, {"number": done.number}) is Counted.more
    straggler = take_segment(empty_record)
    failure = Failure(ErrorCode(code), "A sentence.")
    assert endings.fail(empty_record, tenant.id, export_id, failure, KEEPING)
    found = queries.get_export(empty_record, tenant.id, ExportAddress(id=export_id))
    assert (found.status, found.error_code, found.image_count) == (Status.failed, code, None)
    assert found.expires_at is not None
    # Nothing is removed as long as it may be taken up again.
    assert take(empty_record) is None

    again = retry(tenant, export_id)
    assert (again.status, again.error_code, again.error_message) == (Status.processing, "", "")
    assert again.progress == 0.5
    assert again.expires_at is None
    # Who was still at work is too late, and what he gives back belongs to another.
    assert progress.segment_done(empty_record, straggler, {}) is Counted.lost
    claims.abandon(empty_record, straggler)
    left = [take_segment(empty_record), take_segment(empty_record)]
    assert {claim.number for claim in left} == {3, 4}
    assert take(empty_record) is None
    assert progress.segment_done(empty_record, left[0], {}) is Counted.more
    assert progress.segment_done(empty_record, left[1], {}) is Counted.last
    finish = take(empty_record)
    assert finish is not None
    assert finish.step is Step.finish
    assert tenant.running == 1


def test_a_retry_where_all_is_built_finishes_again(empty_record: Database) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.planned(1)
    assert progress.segment_done(empty_record, take_segment(empty_record), {}) is Counted.last
    finish = take(empty_record)
    assert finish is not None
    failure = Failure(ErrorCode.internal, "A sentence.")
    assert endings.fail_claimed(empty_record, finish, failure, KEEPING)
    retry(tenant, export_id)
    again = take(empty_record)
    assert isinstance(again, ExportClaim)
    assert (again.step, again.errors, again.lost) == (Step.finish, 0, 0)
    assert again.attempt > finish.attempt
    # Workers of an older version would not understand it.
    with empty_record.read() as connection:
        versions = set(connection.scalars(select(steps.c.version)))
    assert versions == {WORK_VERSION}


def test_a_fresh_retry_takes_a_new_snapshot(empty_record: Database) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.planned(3)
    straggler = take_segment(empty_record)
    failure = Failure(ErrorCode.internal, "A sentence.")
    assert endings.fail(empty_record, tenant.id, export_id, failure, KEEPING)
    assert straggler.lane is Lane.long
    # What is selected now is short.
    again = retry(tenant, export_id, fresh=True, short_bytes=0)
    assert (again.status, again.progress, again.image_count) == (Status.pending, 0, None)
    assert progress.segment_done(empty_record, straggler, {}) is Counted.lost
    plan = take(empty_record)
    assert isinstance(plan, ExportClaim)
    assert (plan.step, plan.upload_id, plan.segment_count) == (Step.plan, None, 0)
    assert plan.lane is Lane.short
    assert tenant.running == 1


@pytest.mark.parametrize("is_planned", [False, True])
def test_a_cancelled_export_can_begin_anew(empty_record: Database, is_planned: bool) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.planned(3) if is_planned else tenant.create()
    address = ExportAddress(id=export_id)
    cancelled = cancellation.cancel_export(empty_record, tenant.id, address, KEEPING)
    assert (cancelled.status, cancelled.error_code) == (Status.failed, ErrorCode.cancelled)
    remove = take(empty_record)
    assert isinstance(remove, ExportClaim)
    assert remove.step is Step.remove
    with pytest.raises(Unavailable, match="being removed"):
        retry(tenant, export_id)
    claims.release(empty_record, remove)
    with empty_record.write() as connection:
        # As a removal leaves it.
        connection.execute(steps.delete().where(steps.c.kind == Step.segment))
        connection.execute(exports.update().values(snapshot=None, upload_id=None, staged=False))
    if is_planned:
        with pytest.raises(WrongState, match="with fresh"):
            retry(tenant, export_id)
        retry(tenant, export_id, fresh=True)
    else:
        retry(tenant, export_id)
    plan = take(empty_record)
    assert isinstance(plan, ExportClaim)
    assert plan.step is Step.plan


def test_only_the_right_state_will_do(empty_record: Database) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.create()
    address = ExportAddress(id=export_id)
    with pytest.raises(WrongState, match="status pending"):
        retry(tenant, export_id)
    take(empty_record)
    with pytest.raises(WrongState, match="status processing"):
        retry(tenant, export_id)
    cancellation.cancel_export(empty_record, tenant.id, address, KEEPING)
    with pytest.raises(WrongState, match="status failed"):
        cancellation.cancel_export(empty_record, tenant.id, address, KEEPING)


def test_a_retry_counts_against_the_quota(empty_record: Database) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.create()
    cancellation.cancel_export(empty_record, tenant.id, ExportAddress(id=export_id), KEEPING)
    for _ in range(3):
        tenant.create()
    with pytest.raises(QuotaExceeded):
        retry(tenant, export_id)


def test_the_deadline_of_a_retry_counts_anew(empty_record: Database) -> None:
    tenant = Tenant.make(empty_record, "tenant")
    export_id = tenant.planned(2)
    with empty_record.write() as connection:
        connection.execute(exports.update().values(queued_at=0))
    failure = Failure(ErrorCode.deadline_exceeded, "A sentence.")
    assert endings.fail(empty_record, tenant.id, export_id, failure, KEEPING)
    retry(tenant, export_id)
    with empty_record.read() as connection:
        assert (connection.scalar(select(exports.c.queued_at)) or 0) > 0


# Over the wire


def ended(stack: Stack, export_id: str) -> pb.Export:
    """An export, once it has ended."""
    return watch(stack, export_id)[-1]


def wait_until(true: Callable[[], bool]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_export_is_cancelled_and_taken_up_again(stack: Stack, large: Large) -> None:
    http = stack.http("member")
    for _ in range(10):
        made = create(stack, large.name, include_images=True)
        path = f"{EXPORTS}/{large.name}/{made.name}"
        answer = http.post(f"{path}/cancel")
        if answer.status_code == 200:
            break
        # It was built faster than it was cancelled.
        assert "completed" in answer.text
    assert answer.status_code == 200, answer.text
    assert stack.http("viewer").post(f"{path}/cancel").status_code == 403
    assert (answer.json()["id"], answer.json()["status"]) == (made.id, "failed")
    assert answer.json()["error_code"] == "cancelled"
    again = http.post(f"{path}/cancel")
    assert again.status_code == 409
    assert "failed" in again.json()["message"]
    assert get(stack, made.id).error_code == "cancelled"
    wait_until(lambda: left_of(stack, made) == [])

    def retried() -> bool:
        answer = http.post(f"{EXPORTS}/{made.id}/retry", json={"fresh": True})
        # What it left may be on its way out.
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    wait_until(retried)
    last = ended(stack, made.id)
    assert (last.status, last.error_message) == (pb.EXPORT_STATUS_COMPLETED, "")
    assert last.image_count == large.image_count
    assert len(unzip(download(stack, made.id)).namelist()) > large.image_count
    refused = http.post(f"{path}/retry")
    assert refused.status_code == 409
    assert "completed" in refused.json()["message"]


def test_what_the_message_of_a_failed_export_advises_helps(stack: Stack) -> None:
    dataset = unique("mended")
    pictures = [Picture(f"cam/{n}.jpg", noise_jpeg(1000 + n), []) for n in range(40)]
    with object_store(stack) as store:
        before = {info.key for info in store.list(store.images_bucket)}
        put_all(stack, dataset, pictures)
        added = {info.key for info in store.list(store.images_bucket)} - before
        store.delete(store.images_bucket, added.pop())
    made = create(stack, dataset, include_images=True)
    last = ended(stack, made.id)
    assert last.error_code == "image_unusable"
    assert "cam/" in last.error_message
    assert "retry the export" in last.error_message
    put(stack, dataset, pictures)
    answer = stub(stack).RetryExport(
        pb.RetryExportRequest(by_name=pb.ExportName(dataset_name=dataset, name=made.name)),
        metadata=stack.metadata("member"),
        timeout=30,
    )
    assert answer.export.id == made.id
    last = ended(stack, made.id)
    assert (last.status, last.error_message) == (pb.EXPORT_STATUS_COMPLETED, "")
    assert last.image_count == len(pictures)


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_actions_on_what_is_not_there(stack: Stack, scenes: str, action: str) -> None:
    http = stack.http("member")
    for path in (f"{scenes}/none", str(uuid.uuid4()), f"by-name/{scenes}/none"):
        answer = http.post(f"{EXPORTS}/{path}/{action}")
        assert answer.status_code == 404, answer.text
    assert http.post(f"{EXPORTS}/{scenes}/none/{action}ed").status_code == 405
    with pytest.raises(grpc.RpcError) as error:
        getattr(stub(stack), f"{action.title()}Export")(
            getattr(pb, f"{action.title()}ExportRequest")(),
            metadata=stack.metadata("member"),
            timeout=30,
        )
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_body_of_a_retry_is_checked(stack: Stack, scenes: str) -> None:
    made = completed(stack, scenes)
    path = f"{EXPORTS}/{made.id}/retry"
    http = stack.http("member")
    assert http.post(path, json={"fresh": "yes"}).status_code == 422
    assert http.post(path, content=b"{").status_code == 400
    assert http.post(path).status_code == 409
