"""The same snapshot gives the same bytes, whoever builds it and however it is cut."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.exports import completed, download, object_store, unzip
from tests.parts import MinIO
from tests.service.conftest import Large
from tests.stack import CartoucheProcess, Production, Stack

MIB = 1024 * 1024


@pytest.mark.parametrize("format", ["pictograph", "coco"])
@pytest.mark.parametrize("include_images", [True, False])
def test_two_exports_are_the_same_bytes(
    stack: Stack, scenes: str, format: str, include_images: bool
) -> None:
    first, second = (
        download(stack, completed(stack, scenes, format=format, include_images=include_images).id)
        for _ in range(2)
    )
    assert first == second


def test_two_large_exports_are_the_same_bytes(stack: Stack, large: Large) -> None:
    first, second = (
        download(stack, completed(stack, large.name, format="coco", include_images=True).id)
        for _ in range(2)
    )
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    assert len(unzip(first).namelist()) == large.image_count + 3


@contextmanager
def worker_with(stack: Production, part_size: int) -> Iterator[None]:
    """One worker of this part size in the place of the stack's own."""
    own = [worker for worker in stack.workers if worker.running]
    other = CartoucheProcess(
        f"worker-of-{part_size}",
        ["worker"],
        stack.folder,
        stack.env | {"CARTOUCHE_PART_SIZE": str(part_size)},
    )
    for worker in own:
        worker.stop()
    try:
        other.start()
        other.wait_ready()
        yield
    finally:
        other.stop()
        for worker in own:
            worker.start()
        for worker in own:
            worker.wait_ready()


def part_count(stack: Production, export: pb.Export) -> int:
    """How many parts the stored archive was uploaded in; 0: in one piece."""
    key = f"{export.organization_id}/{export.id}/archive.zip"
    with object_store(stack) as store:
        stat = store.stat(store.exports_bucket, key)
    assert stat is not None
    return int(stat.etag.partition("-")[2] or 0)


def test_the_part_size_changes_no_byte(production: Production, large: Large) -> None:
    """One PUT, the default, and parts as small as S3 takes them."""
    built = {}
    for part_size in (64 * MIB, 16 * MIB, 5 * MIB):
        with worker_with(production, part_size):
            export = completed(production, large.name, include_images=True)
        data = download(production, export.id)
        built[part_size] = hashlib.sha256(data).hexdigest()
        if isinstance(production.store, MinIO):
            parts = part_count(production, export)
            assert (parts > 0) == (part_size < large.image_bytes)
            assert parts == 0 or parts >= large.image_bytes // (2 * part_size)
            assert part_size > 5 * MIB or parts >= 3
    assert len(set(built.values())) == 1
