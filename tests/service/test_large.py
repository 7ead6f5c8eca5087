"""A hundred thousand images: memory stays where it was, and the archive has every one."""

import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from PIL import Image

from services.catalog.model import DatasetClass
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem
from services.importing.summary import Amount
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.stack import Production

IMAGES = 100_000
MIB = 1024 * 1024


@pytest.fixture
def plain_stack(
    postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> Iterator[Production]:
    """A stack of its own with one worker, so that its memory tells of this test alone."""
    # Workers of other stacks would take its messages from the first database of Redis.
    broker_url = redis.url.replace("/0", "/2")
    with Production(
        postgresql.create_database(), broker_url, object_store, name="large", workers=1
    ) as stack:
        yield stack


def draw_dots(folder: Path) -> list[Path]:
    """Images of a few hundred bytes; a dataset has them many times."""
    files = []
    for number in range(8):
        file = folder / f"{number}.png"
        Image.linear_gradient("L").resize((16, 16 + number)).save(file)
        files.append(file)
    return files


def items(files: list[Path]) -> Iterator[ImportItem]:
    """Every image with one box."""
    for number in range(IMAGES):
        box = {"x": 1, "y": 2, "w": 3 + number % 7, "h": 4}
        yield ImportItem(
            path=f"{number // 1000:03}/{number:06}.png",
            file=files[number % len(files)],
            status="complete",
            annotations=[
                {"id": f"box-{number}", "name": "dot", "type": "bbox", "bounding_box": box}
            ],
        )


@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_dataset(plain_stack: Production, tmp_path: Path) -> None:
    server, (worker,) = plain_stack.server, plain_stack.workers
    memory: list[int] = []

    def watch(finished: int) -> None:
        if finished >= len(memory) * IMAGES // 10:
            memory.append(server.memory())

    summary = import_dataset(
        plain_stack.endpoint,
        plain_stack.key("member"),
        "large",
        items(draw_dots(tmp_path)),
        [DatasetClass("dot")],
        on_progress=watch,
    )
    assert summary.created == Amount(IMAGES, IMAGES)
    assert memory[-1] - memory[1] < 32 * MIB

    exports = ExportServiceStub(plain_stack.channel)
    metadata = plain_stack.metadata("member")
    request = pb.CreateExportRequest(
        dataset_name="large", name="all", format="coco", include_images=True
    )
    export = exports.CreateExport(request, metadata=metadata, timeout=30).export
    while export.status in (pb.EXPORT_STATUS_PENDING, pb.EXPORT_STATUS_PROCESSING):
        time.sleep(0.2)
        asked = pb.GetExportRequest(id=export.id)
        export = exports.GetExport(asked, metadata=metadata, timeout=30).export
    assert export.status == pb.EXPORT_STATUS_COMPLETED, export.error_message
    assert export.image_count == export.annotation_count == IMAGES
    assert worker.peak_memory() <= 200 * MIB

    link = exports.GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=export.id), metadata=metadata, timeout=30
    )
    file = tmp_path / "large.zip"
    urllib.request.urlretrieve(link.download_url, file)
    assert file.stat().st_size == export.file_size
    # More entries than a plain end record can count.
    assert b"PK\x06\x06" in file.read_bytes()[-200:]
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        assert sum(name.startswith("images/") for name in names) == IMAGES
        assert len(set(names)) == len(names)
        coco = orjson.loads(archive.read("annotations/instances_default.json"))
        assert len(coco["images"]) == len(coco["annotations"]) == IMAGES
        assert {f"images/{image['file_name']}" for image in coco["images"]} <= set(names)
