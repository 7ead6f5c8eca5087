"""The same snapshot gives the same bytes, whoever builds it and however it is cut."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, bbox, jpeg, noise_jpeg, put_all, unique
from tests.exports import completed, download, object_store, unzip
from tests.parts import MinIO
from tests.service.conftest import Large, large_on
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
def without_workers(stack: Production) -> Iterator[None]:
    """The stack's own workers are away."""
    own = [worker for worker in stack.workers if worker.running]
    for worker in own:
        worker.stop()
    try:
        yield
    finally:
        for worker in own:
            worker.start()
        for worker in own:
            worker.wait_ready()


@contextmanager
def worker_with(stack: Production, **settings: str) -> Iterator[None]:
    """One more worker, with these settings."""
    name = "-".join(("worker-of", *settings.values()))
    worker = CartoucheProcess(name, ["worker"], stack.folder, stack.env | settings)
    try:
        worker.start()
        worker.wait_ready()
        yield
    finally:
        worker.stop()


def part_count(stack: Production, export: pb.Export) -> int:
    """How many parts the stored archive was uploaded in; 0: in one piece."""
    key = f"{export.organization_id}/{export.id}/archive.zip"
    with object_store(stack) as store:
        stat = store.stat(store.exports_bucket, key)
    assert stat is not None
    return int(stat.etag.partition("-")[2] or 0)


def test_the_part_size_changes_no_byte(production: Production) -> None:
    """All images in one part, the default, and parts as small as S3 takes them."""
    large = large_on(production)
    built = {16 * MIB: completed(production, large.name, include_images=True)}
    with without_workers(production):
        for part_size in (64 * MIB, 5 * MIB):
            with worker_with(production, CARTOUCHE_PART_SIZE=str(part_size)):
                built[part_size] = completed(production, large.name, include_images=True)
    archives = [download(production, export.id) for export in built.values()]
    assert len({hashlib.sha256(archive).hexdigest() for archive in archives}) == 1
    if isinstance(production.store, MinIO):
        parts = {part_size: part_count(production, export) for part_size, export in built.items()}
        # The last one is the text.
        assert parts[64 * MIB] == 2
        assert parts[16 * MIB] >= 2
        assert parts[5 * MIB] > parts[16 * MIB]


@pytest.mark.parametrize("has_parts", [False, True])
def test_text_is_cut_by_its_own_bytes(production: Production, has_parts: bool) -> None:
    """Much text beside few bytes of images, which fill no part, or one; and as 0.2.0 does it."""
    dataset = unique("text")
    boxes = [bbox("car", x=n % 40, y=n % 20) for n in range(6_000)]
    pictures = [Picture(f"{n:02}.jpg", jpeg(seed=n), boxes) for n in range(40)]
    if has_parts:
        pictures += [Picture(f"noise-{n}.jpg", noise_jpeg(n)) for n in range(7)]
    put_all(production, dataset, pictures)
    built = [completed(production, dataset, format="coco", include_images=True)]
    with without_workers(production), worker_with(production, CARTOUCHE_WORK_VERSION="1"):
        built.append(completed(production, dataset, format="coco", include_images=True))
    apart, together = segment_counts(production, built)
    # Above 20 MiB of annotations, and one segment for the images.
    assert apart > 4
    assert together == (1 if has_parts else apart - 1)
    first, second = (download(production, export.id) for export in built)
    assert first == second
    names = unzip(first).namelist()
    assert len([name for name in names if name.endswith(".jpg")]) == len(pictures)


def test_text_alone_is_built_at_once_where_it_fits_in_memory(production: Production) -> None:
    """As beside images, where it is cut; and cut where an image has large annotations."""
    dataset = unique("alone")
    boxes = [bbox("car", x=n % 40, y=n % 20) for n in range(6_000)]
    few = [Picture(f"{n:03}.jpg", jpeg(seed=n), boxes[:500]) for n in range(80)]
    put_all(production, dataset, few)
    alone = completed(production, dataset, format="coco")
    beside = completed(production, dataset, format="coco", include_images=True)
    put_all(production, dataset, [Picture("large.jpg", jpeg(seed=80), boxes)])
    large = completed(production, dataset, format="coco")
    counts = segment_counts(production, [alone, beside, large])
    assert counts[0] == 0
    assert min(counts[1:]) > 0
    document = "annotations/instances_default.json"
    first, second, third = (
        unzip(download(production, export.id)) for export in (alone, beside, large)
    )
    found, same = first.getinfo(document), second.getinfo(document)
    assert (found.CRC, found.compress_size) == (same.CRC, same.compress_size)
    assert len(json.loads(first.read(document))["annotations"]) == 80 * 500
    assert len(json.loads(third.read(document))["annotations"]) == 80 * 500 + 6_000


def segment_counts(stack: Production, exports: list[pb.Export]) -> list[int]:
    """In how many segments each of the exports was built."""
    with psycopg.connect(stack.env["CARTOUCHE_DATABASE_URL"]) as connection:
        query = "SELECT segment_count FROM exports WHERE id = %s"
        rows = [connection.execute(query, [export.id]).fetchone() for export in exports]
    return [row[0] for row in rows if row]
