"""A worker keeps within CARTOUCHE_WORKER_MEMORY, whatever the dataset is made of."""

import random
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import psycopg
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb_catalog
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.catalog.limits import MAX_DOCUMENT
from services.catalog.model import DatasetClass
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem
from services.settings import Settings
from tests.datasets import Picture, jpeg, noise_jpeg, put
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.stack import CARTOUCHE, Production

pytestmark = pytest.mark.timeout(300)

MIB = 1024 * 1024
#: Documents of one file, files of each image, rows of text, and the plain form.
FORMATS = ("coco", "darwin", "csv", "pictograph")
TINY = 2_000
CLASSES = 1_203
NAMES = [f"class {number:04}" for number in range(CLASSES)]


@pytest.fixture(scope="module")
def one_worker(
    postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> Iterator[Production]:
    """A stack of its own with one worker, whose memory is that of these tests alone."""
    broker_url = redis.url.replace("/0", "/3")
    database_url = postgresql.create_database()
    with Production(database_url, broker_url, object_store, name="memory", workers=1) as stack:
        yield stack


def boxes(size: int, names: Sequence[str], seed: int) -> bytes:
    """A document of boxes of about so many bytes, never more."""
    source = random.Random(seed)
    found: list[bytes] = []
    while size > 0:
        x, y = source.uniform(0, 40), source.uniform(0, 30)
        found.append(
            orjson.dumps(
                {
                    "id": f"{seed}-{len(found)}",
                    "name": source.choice(names),
                    "type": "bbox",
                    "bounding_box": {"x": x, "y": y, "w": 5.5, "h": 6.25},
                    "confidence": 1.0,
                    "attributes": [],
                }
            )
        )
        size -= len(found[-1]) + 1
    return b"[" + b",".join(found[:-1]) + b"]"


def huge() -> Iterator[Picture]:
    for number in range(6):
        # A little is added to each annotation where it is stored.
        yield Picture(f"{number}.jpg", jpeg(seed=number), boxes(MAX_DOCUMENT, ["thing"], number))


def tiny(folder: Path, count: int) -> Iterator[ImportItem]:
    files = [folder / f"{n}.jpg" for n in range(8)]
    for number, file in enumerate(files):
        file.write_bytes(jpeg(16, 12, seed=number))
    for number in range(count):
        box = {"x": 1, "y": 2, "w": 3 + number % 7, "h": 4}
        annotation = {"id": f"{number}", "name": "dot", "type": "bbox", "bounding_box": box}
        path = f"{number // 500:03}/{number:06}.jpg"
        yield ImportItem(path, files[number % 8], "complete", annotations=[annotation])


def many_classes() -> Iterator[Picture]:
    for number in range(150):
        yield Picture(f"{number}.jpg", jpeg(seed=number % 16), boxes(8_000, NAMES, number))


def large_images() -> Iterator[Picture]:
    for number in range(40):
        yield Picture(f"{number}.jpg", noise_jpeg(number), boxes(2_000, ["thing"], number))


def export_all(
    stack: Production, dataset: str, formats: Sequence[str], class_filter: Sequence[str] = ()
) -> None:
    """Exports in all of the formats at once, and waits until they are completed."""
    stub = ExportServiceStub(stack.channel)
    metadata = stack.metadata("member")
    ids = []
    for format_ in formats:
        request = pb.CreateExportRequest(
            dataset_name=dataset,
            name=format_,
            format=format_,
            include_images=True,
            class_filter=class_filter,
        )
        ids.append(stub.CreateExport(request, metadata=metadata, timeout=60).export.id)
    for export_id in ids:
        completed(stack, export_id)


def completed(stack: Production, export_id: str) -> None:
    stub = ExportServiceStub(stack.channel)
    export = pb.Export()
    for answer in stub.WatchExport(
        pb.WatchExportRequest(id=export_id), metadata=stack.metadata("viewer"), timeout=240
    ):
        export = answer.export
    assert export.status == pb.EXPORT_STATUS_COMPLETED, export.error_message


def peak_of(
    stack: Production,
    dataset: str,
    pictures: Iterable[Picture],
    class_names: Sequence[str] = (),
    class_filter: Sequence[str] = (),
) -> int:
    """The most memory that the worker has while it exports the pictures in all formats."""
    (worker,) = stack.workers
    declared = [pb_catalog.DatasetClass(name=name, type="bbox") for name in class_names]
    answers = put(stack, dataset, pictures, classes=declared)
    assert not [answer.message for answer in answers if answer.message]
    worker.forget_peak()
    export_all(stack, dataset, FORMATS, class_filter)
    return worker.peak_memory()


LIMIT = Settings(_env_file=None).worker_memory


def test_few_huge_documents(one_worker: Production) -> None:
    assert peak_of(one_worker, "huge", huge()) <= LIMIT


def test_many_tiny_images(one_worker: Production, tmp_path: Path) -> None:
    (worker,) = one_worker.workers
    peaks = []
    for count in (TINY, 10 * TINY):
        name = f"{count} tiny"
        summary = import_dataset(
            one_worker.endpoint,
            one_worker.key("member"),
            name,
            tiny(tmp_path, count),
            [DatasetClass("dot")],
        )
        assert summary.created.images == count
        worker.forget_peak()
        export_all(one_worker, name, ["coco"])
        peaks.append(worker.peak_memory())
    assert max(peaks) <= LIMIT
    assert peaks[1] <= 1.12 * peaks[0]


def test_many_classes(one_worker: Production) -> None:
    assert peak_of(one_worker, "classes", many_classes(), NAMES, NAMES[::2]) <= LIMIT


def test_images_of_a_megabyte(one_worker: Production) -> None:
    assert peak_of(one_worker, "images", large_images()) <= LIMIT


@dataclass
class _Most:
    """The most memory that a worker and its children had together."""

    memory: int = 0
    children: set[int] = field(default_factory=set)


@contextmanager
def watched(stack: Production) -> Iterator[_Most]:
    (worker,) = stack.workers
    most, ended = _Most(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            most.memory = max(most.memory, worker.memory_with_children())
            most.children |= {child.pid for child in worker._children()}

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def test_a_step_alone_is_within_it_too(one_worker: Production) -> None:
    (worker,) = one_worker.workers
    put(one_worker, "alone", large_images())
    worker.stop()
    stub = ExportServiceStub(one_worker.channel)
    request = pb.CreateExportRequest(
        dataset_name="alone", name="alone", format="coco", include_images=True
    )
    made = stub.CreateExport(request, metadata=one_worker.metadata("member"), timeout=60).export
    with psycopg.connect(one_worker.env["CARTOUCHE_DATABASE_URL"], autocommit=True) as record:
        record.execute("UPDATE steps SET alone = true WHERE export_id = %s", [made.id])
    worker.start()
    worker.wait_ready()
    with watched(one_worker) as most:
        completed(one_worker, made.id)
    assert most.children
    # The README says so.
    assert most.memory <= 1.1 * LIMIT


def test_too_little_is_refused_at_the_start(one_worker: Production) -> None:
    done = subprocess.run(
        [str(CARTOUCHE), "worker"],
        env=one_worker.env | {"CARTOUCHE_WORKER_MEMORY": str(100 * MIB)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "CARTOUCHE_WORKER_MEMORY is 100 MiB" in done.stderr
    assert "or more" in done.stderr
