"""Deleting exports: gone at once for callers, and soon from the store."""

import time
import uuid

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import (
    completed,
    create,
    download,
    get,
    left_of,
    object_store,
    refused,
    stub,
    watch,
)
from tests.paused import paused_workers
from tests.service.conftest import Large
from tests.stack import Production, Stack

EXPORTS = "/api/v1/developer/exports"


def delete(stack: Stack, export_id: str) -> str:
    answer = stub(stack).DeleteExport(
        pb.DeleteExportRequest(id=export_id),
        metadata=stack.metadata("admin"),
        timeout=30,
    )
    return answer.id


def bulk_delete(stack: Stack, *export_ids: str) -> tuple[list[str], list[str]]:
    answer = stub(stack).BulkDeleteExports(
        pb.BulkDeleteExportsRequest(export_ids=export_ids),
        metadata=stack.metadata("admin"),
        timeout=30,
    )
    return list(answer.deleted), list(answer.not_found)


def wait_gone(stack: Stack, export: pb.Export, seconds: float) -> None:
    """Waits until the store holds nothing of an export."""
    deadline = time.monotonic() + seconds
    while left := left_of(stack, export):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_deleted_export_is_gone(stack: Stack, scenes: str) -> None:
    export = completed(stack, scenes)
    other = completed(stack, scenes)
    assert left_of(stack, export) == [f"{export.organization_id}/{export.id}/archive.zip"]
    path = f"{EXPORTS}/{scenes}/{export.name}"
    answer = stack.http("admin").delete(path)
    assert answer.status_code == 200
    assert answer.json()["id"] == export.id
    for gone in (path, f"{path}/download", f"{EXPORTS}/{export.id}"):
        assert stack.http("viewer").get(gone).status_code == 404
    assert stack.http("admin").delete(path).status_code == 404
    with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
        get(stack, export.id)
    with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
        watch(stack, export.id)
    with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
        delete(stack, export.id)
    listed = stack.http("viewer").get(f"{EXPORTS}/", params={"dataset_name": scenes}).json()
    assert export.id not in [row["id"] for row in listed]
    wait_gone(stack, export, 10)
    # The name is free again, and the neighbour is whole.
    assert completed(stack, scenes, export.name).id != export.id
    assert len(download(stack, other.id)) == other.file_size


def test_a_pending_export_is_cancelled(production: Production) -> None:
    dataset = unique("cancelled")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    with paused_workers(production):
        export = create(production, dataset)
        told = stub(production).WatchExport(
            pb.WatchExportRequest(id=export.id), metadata=production.metadata(), timeout=30
        )
        assert next(told).export.status == pb.EXPORT_STATUS_PENDING
        assert delete(production, export.id) == export.id
        with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
            next(told)
    time.sleep(1)
    wait_gone(production, export, 10)


def test_an_export_in_flight_leaves_nothing(stack: Stack, large: Large) -> None:
    export = create(stack, large.name, include_images=True)
    told = stub(stack).WatchExport(
        pb.WatchExportRequest(id=export.id), metadata=stack.metadata("viewer"), timeout=30
    )
    # The segments are cut, and being built.
    assert any(answer.export.image_count for answer in told)
    delete(stack, export.id)
    wait_gone(stack, export, 30)
    with object_store(stack) as store:
        images = list(store.list(store.images_bucket, f"{export.organization_id}/"))
        assert len(images) >= large.image_count
    # Whoever was at work meanwhile brings nothing back.
    time.sleep(1)
    assert left_of(stack, export) == []


def test_many_at_once(stack: Stack, scenes: str) -> None:
    mine = [completed(stack, scenes) for _ in range(3)]
    foreign = "elsewhere"
    put_all(stack, dataset := unique("theirs"), [Picture("a.jpg", jpeg())], organization=foreign)
    theirs = create(stack, dataset, organization=foreign)
    unknown = str(uuid.uuid4())
    ids = [e.id for e in mine]
    asked = [ids[1], unknown, ids[0], theirs.id, ids[1], "no id"]
    assert bulk_delete(stack, *asked) == (
        [ids[1], ids[0]],
        [unknown, theirs.id, "no id"],
    )
    assert bulk_delete(stack, *ids[:2]) == ([], ids[:2])
    assert get(stack, ids[2]).id == ids[2]
    assert get(stack, theirs.id, foreign).id == theirs.id
    answer = stack.http("admin").post(
        f"{EXPORTS}/bulk-delete", json={"export_ids": [ids[2], unknown]}
    )
    assert answer.status_code == 200
    assert answer.json()["deleted"] == [ids[2]]
    assert answer.json()["not_found"] == [unknown]
    assert answer.json()["count"] == 1
    for export in mine:
        wait_gone(stack, export, 10)


@pytest.mark.parametrize("number", [0, 1001])
def test_bulk_delete_takes_up_to_a_thousand(stack: Stack, number: int) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "export_ids"):
        bulk_delete(stack, *["x"] * number)
    answer = stack.http("admin").post(f"{EXPORTS}/bulk-delete", json={"export_ids": ["x"] * number})
    assert answer.status_code == 422
