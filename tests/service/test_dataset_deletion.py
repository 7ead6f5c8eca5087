"""Deleting images and datasets over gRPC and the command line, beside exports."""

import hashlib
import time
from collections.abc import Iterator

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as exports_pb

from tests.datasets import Picture, bbox, jpeg, key_of, noise_jpeg, put, put_all, read, unique
from tests.exports import (
    completed,
    create,
    download,
    get,
    object_store,
    refused,
    stub,
    watch,
)
from tests.paused import paused_workers
from tests.stack import Embedded, Production, Stack


def delete_images(
    stack: Stack, dataset: str, *paths: str, role: str = "admin"
) -> pb.DeleteImagesResponse:
    return CatalogServiceStub(stack.channel).DeleteImages(
        pb.DeleteImagesRequest(dataset_name=dataset, paths=paths),
        metadata=key_of(stack, role),
        timeout=30,
    )


def delete_dataset(stack: Stack, dataset: str, role: str = "admin") -> pb.Dataset:
    return (
        CatalogServiceStub(stack.channel)
        .DeleteDataset(
            pb.DeleteDatasetRequest(dataset_name=dataset), metadata=key_of(stack, role), timeout=30
        )
        .dataset
    )


def stored(stack: Stack, organization_id: str, pictures: list[Picture]) -> set[str]:
    """The SHA-256 of those of the pictures that lie in the images bucket."""
    wanted = {hashlib.sha256(picture.data).hexdigest() for picture in pictures}
    with object_store(stack) as store:
        listed = store.list(store.images_bucket, f"{organization_id}/sha256/")
        return wanted & {info.key.rsplit("/", 1)[1][:64] for info in listed}


def test_images_are_deleted_and_the_others_stay(stack: Stack) -> None:
    dataset = unique("thinned")
    pictures = [Picture(f"{n}.jpg", jpeg(seed=n), [bbox("car")] * n) for n in range(4)]
    put_all(stack, dataset, pictures)
    answer = delete_images(stack, dataset, "3.jpg", "none.jpg", "1.jpg", "3.jpg")
    assert list(answer.deleted) == ["3.jpg", "1.jpg"]
    assert list(answer.not_found) == ["none.jpg"]
    left = read(stack, dataset)
    assert (left.image_count, left.annotation_count) == (2, 2)
    assert completed(stack, dataset, include_images=True).image_count == 2
    (again,) = put(stack, dataset, [pictures[3]])
    assert again.result == pb.PUT_IMAGE_RESULT_CREATED
    assert read(stack, dataset).annotation_count == 5


def test_who_may_delete_what(production: Production) -> None:
    dataset = unique("guarded")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        delete_images(production, dataset, "a.jpg", role="member")
    with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        delete_dataset(production, dataset, role="member")
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        delete_dataset(production, "none")
    for number in (0, 1_001):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "paths"):
            delete_images(production, dataset, *map(str, range(number)))
    assert read(production, dataset).image_count == 1


def test_an_export_in_flight_is_completed_and_then_the_files_go(stack: Stack) -> None:
    dataset = unique("leaving")
    pictures = [
        Picture(f"{n:02}.jpg", noise_jpeg(1_000 + n), [bbox("car", x=n)]) for n in range(20)
    ]
    put_all(stack, dataset, pictures)
    whole = completed(stack, dataset, include_images=True)
    archive = download(stack, whole.id)
    export = create(stack, dataset, include_images=True)
    told = stub(stack).WatchExport(
        exports_pb.WatchExportRequest(id=export.id),
        metadata=stack.metadata("viewer"),
        timeout=60,
    )
    # Its snapshot is taken, and its segments are being built.
    assert any(answer.export.image_count for answer in told)
    told.cancel()
    gone = delete_dataset(stack, dataset)
    assert (gone.name, gone.image_count) == (dataset, len(pictures))
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        read(stack, dataset)
    last = watch(stack, export.id)[-1]
    assert last.status == exports_pb.EXPORT_STATUS_COMPLETED, last
    assert last.dataset_name == dataset
    assert download(stack, export.id) == archive
    deadline = time.monotonic() + 60
    while left := stored(stack, export.organization_id, pictures):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)
    # Archives are the exports' own.
    assert download(stack, whole.id) == archive
    # The name is free, and what was there comes again.
    put_all(stack, dataset, pictures[:1])
    assert completed(stack, dataset, include_images=True).image_count == 1


def test_a_pending_export_says_that_its_dataset_is_gone(production: Production) -> None:
    dataset = unique("gone")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    with paused_workers(production):
        export = create(production, dataset)
        delete_dataset(production, dataset)
        assert get(production, export.id).dataset_name == dataset
    last = watch(production, export.id)[-1]
    assert last.status == exports_pb.EXPORT_STATUS_FAILED
    assert last.error_code == "dataset_deleted"
    assert dataset in last.error_message


def test_the_command_asks_first(embedded: Embedded) -> None:
    dataset = unique("on the command line")
    put_all(embedded, dataset, [Picture(f"{n}.jpg", jpeg(), [bbox("car")]) for n in range(3)])

    def command(*words: str, role: str = "owner") -> tuple[int, str]:
        done = embedded.command(*words, role=role, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    code, said = command("datasets", "list", role="viewer")
    assert code == 0
    assert f"3             3  {dataset}" in said
    # Nobody answers.
    for words in (("datasets", "delete", dataset), ("images", "delete", dataset, "0.jpg")):
        code, said = command(*words)
        assert (code, "for ever?" in said) == (1, True), said
    code, said = command("images", "delete", dataset, "0.jpg", "none.jpg", "--yes")
    assert (code, "deleted 1 images" in said, "not found: none.jpg" in said) == (3, True, True)
    code, said = command("datasets", "delete", dataset, "--yes", role="member")
    assert (code, "role" in said) == (1, True), said
    code, said = command("datasets", "delete", dataset, "-y")
    assert (code, "2 images and 2 annotations" in said) == (0, True), said
    code, said = command("datasets", "delete", dataset, "-y")
    assert (code, "was not found" in said) == (1, True), said


def test_a_stream_into_a_deleted_dataset_ends(production: Production) -> None:
    dataset = unique("late")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])

    def requests() -> Iterator[pb.PutImagesRequest]:
        yield pb.PutImagesRequest(open=pb.PutImagesOpen(dataset_name=dataset))
        yield from Picture("b.jpg", jpeg(seed=1)).requests()
        delete_dataset(production, dataset)
        yield from Picture("c.jpg", jpeg(seed=2)).requests()

    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_DELETED"):
        list(
            CatalogServiceStub(production.channel).PutImages(
                requests(), metadata=key_of(production, "member"), timeout=60
            )
        )
