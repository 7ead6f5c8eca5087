"""The life of an export, over gRPC and REST, down to the bytes of its archive."""

import hashlib
import re
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import SCENES, Picture, bbox, count, jpeg, names, put, put_all, read, unique
from tests.exports import (
    PATIENCE,
    completed,
    create,
    details_of,
    download,
    failed,
    get,
    left_of,
    object_store,
    read_json,
    refused,
    stub,
    unzip,
    watch,
)
from tests.needs import need_tool
from tests.paused import paused_workers
from tests.service.conftest import Large
from tests.stack import Production, Stack

EXPORTS = "/api/v1/developer/exports"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ORDER = [pb.EXPORT_STATUS_PENDING, pb.EXPORT_STATUS_PROCESSING, pb.EXPORT_STATUS_COMPLETED]


def rest_ended(http: httpx.Client, path: str) -> dict[str, Any]:
    """The export at `path`, once it is completed or failed."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = http.get(path)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        if body["status"] in ("completed", "failed"):
            return body
        assert time.monotonic() < deadline, body
        time.sleep(0.1)


def test_life_over_grpc(stack: Stack, scenes: str) -> None:
    made = create(stack, scenes)
    assert made.status == pb.EXPORT_STATUS_PENDING
    assert made.format == "pictograph"
    assert (made.progress, made.file_size, made.sha256) == (0, 0, "")
    for unknown in ("image_count", "annotation_count", "file_size", "crc32", "completed_at"):
        assert not made.HasField(unknown)
    told = watch(stack, made.id)
    assert [export.id for export in told] == [made.id] * len(told)
    statuses = [ORDER.index(export.status) for export in told]
    assert statuses == sorted(statuses)
    progress = [export.progress for export in told]
    assert progress == sorted(progress)
    last = told[-1]
    assert (last.status, last.progress) == (pb.EXPORT_STATUS_COMPLETED, 1)
    assert (last.image_count, last.annotation_count) == count()
    assert last.created_at.ToNanoseconds() == made.created_at.ToNanoseconds()
    assert last.created_at.ToNanoseconds() < last.completed_at.ToNanoseconds()
    assert last.completed_at.ToNanoseconds() < last.expires_at.ToNanoseconds()
    assert get(stack, made.id) == last
    assert watch(stack, made.id) == [last]
    by_name = stub(stack).GetExport(
        pb.GetExportRequest(by_name=pb.ExportName(dataset_name=scenes, name=made.name)),
        metadata=stack.metadata("viewer"),
        timeout=30,
    )
    assert by_name.export == last


def test_life_over_rest(stack: Stack, scenes: str) -> None:
    http, name = stack.http("member"), unique("Training Export v1")
    answer = http.post(
        f"{EXPORTS}/",
        json={
            "dataset_name": scenes,
            "name": name,
            "include_images": True,
            "class_filter": ["car", "person"],
            "status_filter": "complete",
        },
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["status"]) == (name, "pending")
    assert TIME.fullmatch(made["created_at"])
    path = f"{EXPORTS}/{scenes}/{quote(name)}"
    body = rest_ended(http, path)
    images, annotations = count(status="complete", among=("car", "person"))
    wanted = {
        "id": made["id"],
        "name": name,
        "dataset_name": scenes,
        "status": "completed",
        "image_count": images,
        "annotation_count": annotations,
        "include_images": True,
        "class_filter": ["car", "person"],
        "status_filter": "complete",
        "format": "pictograph",
        "progress": 1.0,
        "created_at": made["created_at"],
    }
    assert body.items() >= wanted.items()
    assert TIME.fullmatch(body["completed_at"])
    assert body in http.get(f"{EXPORTS}/", params={"dataset_name": scenes}).json()
    link = http.get(f"{path}/download").json()
    assert TIME.fullmatch(link["expires_at"])
    data = httpx.get(link["download_url"], trust_env=False).content
    assert body["file_size"] == link["file_size"] == len(data)
    assert body["crc32"] == link["crc32"] == f"{zlib.crc32(data):08x}"
    assert body["sha256"] == link["sha256"] == hashlib.sha256(data).hexdigest()
    unzip(data)


@pytest.mark.parametrize("include_images", [False, True])
@pytest.mark.parametrize("format", ["pictograph", "coco"])
def test_what_the_answer_says_is_in_the_archive(
    stack: Stack, scenes: str, tmp_path: Path, format: str, include_images: bool
) -> None:
    export = completed(stack, scenes, format=format, include_images=include_images)
    data = download(stack, export.id)
    assert export.file_size == len(data)
    assert export.crc32 == zlib.crc32(data)
    assert export.sha256 == hashlib.sha256(data).hexdigest()
    archive = unzip(data)
    stored = {f"images/{p.path}": p.data for p in SCENES} if include_images else {}
    texts = {"manifest.json", "README.txt"}
    if format == "coco":
        texts.add("annotations/instances_default.json")
        value = read_json(archive, "annotations/instances_default.json")
        found = len(value["images"]), len(value["annotations"])
    else:
        files = {f"annotations/{p.path}.json" for p in SCENES}
        texts |= {"dataset.json"} | files
        rows = [read_json(archive, name)["annotations"] for name in sorted(files)]
        assert [[row["name"] for row in image] for image in rows] == list(map(names, SCENES))
        found = len(rows), sum(map(len, rows))
    assert set(archive.namelist()) == texts | set(stored)
    assert all(archive.read(name) == content for name, content in stored.items())
    assert (export.image_count, export.annotation_count) == found == count()
    manifest = read_json(archive, "manifest.json")
    assert (manifest["image_count"], manifest["annotation_count"]) == found
    assert manifest["format"] == format
    assert manifest["parameters"]["include_images"] is include_images
    sums = {row["path"]: (row["size"], row["sha256"]) for row in manifest["files"]}
    assert sums == {p.path: (len(p.data), hashlib.sha256(p.data).hexdigest()) for p in SCENES}
    without = sum(not p.annotations for p in SCENES)
    # A polygon with a hole is a mask of whole pixels in COCO.
    masks = int(format == "coco")
    assert export.warnings == pb.ExportWarnings(unannotated=without, degraded=masks)
    file = tmp_path / "archive.zip"
    file.write_bytes(data)
    tested = subprocess.run(
        [need_tool("unzip"), "-t", file], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout
    assert "No errors detected" in tested.stdout


def test_images_go_into_the_folders_of_their_splits(stack: Stack, scenes: str) -> None:
    export = completed(stack, scenes, include_images=True, organize_by_split=True)
    folders = {"train": "train", "val": "valid", "test": "test", "": "train"}
    wanted = {f"{folders[p.split]}/images/{p.path}" for p in SCENES}
    found = unzip(download(stack, export.id)).namelist()
    assert {name for name in found if name.endswith(".jpg")} == wanted


def test_a_taken_name(stack: Stack, scenes: str) -> None:
    made = create(stack, scenes)
    with refused(grpc.StatusCode.ALREADY_EXISTS, "EXPORT_EXISTS"):
        create(stack, scenes, made.name, format="coco")
    answer = stack.http("member").post(
        f"{EXPORTS}/", json={"dataset_name": scenes, "name": made.name}
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    assert made.name in answer.json()["message"]
    # The same name in another dataset is another export.
    other = unique("other")
    put_all(stack, other, [Picture("a.jpg", jpeg())])
    assert create(stack, other, made.name).id != made.id


def test_nothing_to_download_before_the_end(production: Production) -> None:
    dataset = unique("early")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    http = production.http("viewer")
    with paused_workers(production):
        made = create(production, dataset)
        with refused(grpc.StatusCode.FAILED_PRECONDITION, "EXPORT_NOT_COMPLETED") as error:
            download(production, made.id)
        assert details_of(error())[0].metadata["status"] == "pending"
        early = http.get(f"{EXPORTS}/{dataset}/{made.name}/download")
        assert early.status_code == 409
        assert "pending" in early.json()["message"]
    assert watch(production, made.id)[-1].status == pb.EXPORT_STATUS_COMPLETED
    assert http.get(f"{EXPORTS}/{dataset}/{made.name}/download").status_code == 200


def test_nothing_to_download_of_a_failed_export(stack: Stack) -> None:
    dataset = unique("never")
    put(stack, dataset, [])
    export = failed(stack, dataset)
    with refused(grpc.StatusCode.FAILED_PRECONDITION, "EXPORT_NOT_COMPLETED") as error:
        download(stack, export.id)
    assert "failed" in (error().details() or "")
    answer = stack.http("viewer").get(f"{EXPORTS}/{dataset}/{export.name}/download")
    assert answer.status_code == 409
    assert "failed" in answer.json()["message"]


def test_a_missing_file_is_named_and_can_be_mended(stack: Stack) -> None:
    dataset = unique("missing")
    put_all(stack, dataset, [Picture("ok.jpg", jpeg())])
    organization = read(stack, dataset).organization_id
    key = f"{organization}/uploads/{dataset}.jpg"
    lost = Picture("folder/lost.jpg", object_key=key)
    with object_store(stack) as store:
        store.put(store.images_bucket, key, jpeg(50, 50))
        put_all(stack, dataset, [lost])
        store.delete(store.images_bucket, key)
        export = failed(stack, dataset, include_images=True)
        assert "folder/lost.jpg" in export.error_message
        assert "Import the image again" in export.error_message
        assert not export.HasField("image_count")
        # Without the files nothing is missing.
        assert completed(stack, dataset).image_count == 2
        store.put(store.images_bucket, key, jpeg(50, 50))
        assert completed(stack, dataset, include_images=True).image_count == 2
    assert left_of(stack, export) == []


def test_names_that_need_care(stack: Stack) -> None:
    dataset, name = unique("street scenes/é"), 'Train "v1"/é?#% +&;'
    put_all(stack, dataset, [Picture("à/b c.jpg", jpeg(), [bbox("Ampel ⚠")])])
    export = completed(stack, dataset, name, include_images=True)
    path = f"{EXPORTS}/{quote(dataset, safe='')}/{quote(name, safe='')}"
    body = stack.http("viewer").get(path).json()
    assert (body["name"], body["dataset_name"]) == (name, dataset)
    link = stack.http("viewer").get(f"{path}/download").json()
    answer = httpx.get(link["download_url"], trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert unzip(answer.content).read("images/à/b c.jpg") == jpeg()
    assert export.file_size == len(answer.content)


def test_progress_of_a_large_export(stack: Stack, large: Large) -> None:
    told = watch(stack, create(stack, large.name, include_images=True).id)
    assert {pb.EXPORT_STATUS_PROCESSING, pb.EXPORT_STATUS_COMPLETED} <= {e.status for e in told}
    progress = [export.progress for export in told]
    assert progress == sorted(progress)
    assert all(export.progress < 1 for export in told[:-1])
    assert (told[-1].progress, told[-1].image_count) == (1, large.image_count)
    assert told[-1].file_size > large.image_bytes
    assert told[-1].sha256 == ""
    assert told[-1].crc32 == zlib.crc32(download(stack, told[-1].id))
