"""What the fault tests do to a stack: make exports, look into the record, wait, compare."""

import hashlib
import random
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, LiteralString

import grpc
import pika
import psycopg
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from PIL import Image

from services.catalog.model import DatasetClass
from services.doorbell import QUEUE
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem
from services.importing.summary import ImportSummary
from services.storage import ObjectStore, StorageConfig
from tests import parts
from tests.stack import CARTOUCHE, CartoucheProcess, Production, Stack

DATASET = "noise"
#: Two of them are one segment.
IMAGES = 48
PART_SIZE = 5 * 1024 * 1024
#: Leases that are short enough to wait for, with one segment at a time in each worker.
SETTINGS = {
    "CARTOUCHE_PART_SIZE": str(PART_SIZE),
    "CARTOUCHE_LEASE": "4",
    "CARTOUCHE_RECONCILE_INTERVAL": "1",
    "CARTOUCHE_WORKER_THREADS": "1",
    # What a failed export leaves is removed at once.
    "CARTOUCHE_RETRY_WINDOW": "0",
}
PATIENCE = 90.0

#: Writes down every claim, return and end of a segment, since rows go when an export ends.
_HISTORY = """
CREATE TABLE segment_history (
    step SERIAL, export_id TEXT, number INT, attempt INT, lost INT, held BOOL, done BOOL
);
CREATE FUNCTION note_segment() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO segment_history (export_id, number, attempt, lost, held, done) VALUES (
        NEW.export_id, NEW.number, NEW.attempt, NEW.lost, NEW.held, NEW.done
    );
    RETURN NULL;
END $$;
CREATE TRIGGER segment_history AFTER UPDATE ON steps FOR EACH ROW
    WHEN (NEW.kind = 'segment' AND (OLD.attempt, OLD.lost, OLD.done, OLD.held)
        IS DISTINCT FROM (NEW.attempt, NEW.lost, NEW.done, NEW.held))
    EXECUTE FUNCTION note_segment();
"""


@dataclass(frozen=True)
class Change:
    """One step in the life of a segment."""

    number: int
    attempt: int
    lost: int
    #: Somebody has a lease on it.
    held: bool
    done: bool


class Pipeline:
    """A stack with a dataset of many segments, and a view of its record."""

    def __init__(self, stack: Stack, noise: Sequence[Path]) -> None:
        self.stack = stack
        self.noise = noise
        self._stub = ExportServiceStub(stack.channel)
        self.put(DATASET, [(f"noise/{n:04}.png", noise[n % len(noise)]) for n in range(IMAGES)])

    def put(self, dataset: str, images: Sequence[tuple[str, Path]]) -> ImportSummary:
        """Imports images, each with two boxes; equal files are stored once."""
        items = [
            ImportItem(
                path=path,
                file=file,
                status="complete",
                annotations=[
                    {
                        "id": f"{path}-{n}",
                        "name": name,
                        "type": "bbox",
                        "bounding_box": {"x": 10 + n, "y": 20, "w": 30, "h": 40 + n},
                    }
                    for n, name in enumerate(("car", "person"))
                ],
            )
            for path, file in images
        ]
        summary = import_dataset(
            self.stack.endpoint,
            self.stack.key("member"),
            dataset,
            iter(items),
            [DatasetClass("car"), DatasetClass("person")],
        )
        assert summary.taken == len(images), summary
        return summary

    def create(self, name: str, dataset: str = DATASET) -> str:
        """Asks for an export in COCO with images; its id."""
        request = pb.CreateExportRequest(
            dataset_name=dataset, name=name, format="coco", include_images=True
        )
        answer = self._stub.CreateExport(
            request, metadata=self.stack.metadata("member"), timeout=30, wait_for_ready=True
        )
        return answer.export.id

    def export(self, export_id: str) -> pb.Export:
        """The export as callers see it; waits where a server is on its way back."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._stub.GetExport(
                    pb.GetExportRequest(id=export_id),
                    metadata=self.stack.metadata("viewer"),
                    timeout=30,
                )
                return answer.export
            except grpc.RpcError as error:
                passing = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
                if error.code() not in passing or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def ended(self, export_id: str) -> pb.Export:
        """Waits until the export has ended, well or badly."""
        found: list[pb.Export] = []

        def over() -> bool:
            found[:] = [self.export(export_id)]
            return found[0].status in (pb.EXPORT_STATUS_COMPLETED, pb.EXPORT_STATUS_FAILED)

        wait_until(over, f"export {export_id} ends")
        return found[0]

    def completed(self, export_id: str) -> pb.Export:
        """Waits until the export is completed."""
        export = self.ended(export_id)
        assert export.status == pb.EXPORT_STATUS_COMPLETED, export.error_message
        return export

    def failed(self, export_id: str) -> str:
        """Waits until the export has failed; its message."""
        export = self.ended(export_id)
        assert export.status == pb.EXPORT_STATUS_FAILED
        return export.error_message

    def archive(self, export_id: str) -> bytes:
        """The archive, by the link that callers get."""
        answer = self._stub.GetDownloadUrl(
            pb.GetDownloadUrlRequest(id=export_id),
            metadata=self.stack.metadata("viewer"),
            timeout=30,
        )
        with urllib.request.urlopen(answer.download_url, timeout=60) as response:
            return bytes(response.read())

    def digest(self, export_id: str) -> str:
        """The SHA-256 of the archive of an export that must complete."""
        self.completed(export_id)
        return hashlib.sha256(self.archive(export_id)).hexdigest()

    def undisturbed(self) -> str:
        """The SHA-256 of the archive of an export that nothing happens to, looked into."""
        export_id = self.create("undisturbed")
        export = self.completed(export_id)
        archive = self.archive(export_id)
        with zipfile.ZipFile(BytesIO(archive)) as opened:
            assert opened.testzip() is None
            images = [name for name in opened.namelist() if name.startswith("images/")]
        assert len(images) == export.image_count == IMAGES
        return hashlib.sha256(archive).hexdigest()


class RecordedPipeline(Pipeline):
    """A pipeline whose record is in PostgreSQL, with the history of its segments."""

    stack: Production

    def __init__(self, stack: Production, noise: Sequence[Path]) -> None:
        super().__init__(stack, noise)
        with self._connect() as connection:
            connection.execute(_HISTORY)
        self.reference = self.undisturbed()

    def bells(self) -> int:
        """How many bells wait in the broker, which must be RabbitMQ."""
        parameters = pika.URLParameters(self.stack.env["CARTOUCHE_BROKER_URL"])
        with pika.BlockingConnection(parameters) as connection:
            queue = connection.channel().queue_declare(QUEUE, passive=True)
            return int(queue.method.message_count)

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """What a query on the record gives."""
        with self._connect() as connection:
            return connection.execute(query, values).fetchall()

    def segments_done(self, export_id: str) -> int:
        """How many segments of the export are built."""
        rows = self.rows("SELECT segments_done FROM exports WHERE id = %s", export_id)
        return int(rows[0][0])

    def segments_held(self, export_id: str) -> list[int]:
        """The segments that workers hold a lease on."""
        rows = self.rows(
            "SELECT number FROM steps WHERE export_id = %s AND kind = 'segment' AND held",
            export_id,
        )
        return [row[0] for row in rows]

    def history(self, export_id: str) -> list[Change]:
        """Every claim, return and end of the export's segments so far."""
        rows = self.rows(
            "SELECT number, attempt, lost, held, done FROM segment_history"
            " WHERE export_id = %s ORDER BY step",
            export_id,
        )
        return [Change(*row) for row in rows]

    def builds(self, export_id: str) -> dict[int, int]:
        """How often each segment of the export was claimed."""
        counts: dict[int, int] = {}
        for change in self.history(export_id):
            if change.held:
                counts[change.number] = counts.get(change.number, 0) + 1
        return counts

    def wait_half_way(self, export_id: str, segments: int = 6) -> None:
        """Waits until some of the export's segments are built."""
        wait_until(
            lambda: self.segments_done(export_id) >= segments,
            f"{segments} segments are built",
            pause=0.005,
        )

    def halt_half_way(self, export_id: str) -> list[int]:
        """Stops every worker (SIGSTOP) while each is in the middle of a segment.

        Gives the segments they hold. None of them is in the middle of a transaction, whose
        locks would stop the others too.
        """
        workers = self.stack.workers
        self.wait_half_way(export_id)
        while True:
            for worker in workers:
                worker.pause()
            held = self.segments_held(export_id)
            busy = self.rows(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%%' OR state = 'active'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            )
            if len(held) == len(workers) and not busy:
                return held
            for worker in workers:
                worker.resume()
            assert self.segments_held(export_id) or self.segments_done(export_id) < 20, (
                "the export was over before its workers could be caught at work"
            )
            time.sleep(0.01)

    @contextmanager
    def only_worker(self, name: str, **settings: str) -> Iterator[CartoucheProcess]:
        """In the block the stack has no worker but one of other settings."""
        with self.no_worker():
            worker = self.spawn(name, "worker", **settings)
            try:
                yield worker
            finally:
                worker.stop()

    @contextmanager
    def no_worker(self) -> Iterator[None]:
        """In the block the stack has no worker."""
        for worker in self.stack.workers:
            worker.stop()
        try:
            yield
        finally:
            self.restore_workers()

    def restore_workers(self) -> None:
        """Starts the workers that do not run."""
        missing = [worker for worker in self.stack.workers if not worker.running]
        for worker in missing:
            worker.start()
        for worker in missing:
            worker.wait_ready()

    def spawn(self, name: str, command: str, **settings: str) -> CartoucheProcess:
        """Starts one more process of the stack with other settings, and waits for it."""
        process = CartoucheProcess(
            name, [command], self.stack.folder, self.stack.env | dict(settings)
        )
        self.stack.processes[name] = process
        process.start()
        return process.wait_ready()

    def objects(self) -> ObjectStore:
        """The buckets of the stack."""
        env = self.stack.env
        return ObjectStore(
            StorageConfig(
                endpoint=env["CARTOUCHE_S3_ENDPOINT"],
                public_endpoint=env["CARTOUCHE_S3_ENDPOINT"],
                region=env["CARTOUCHE_S3_REGION"],
                access_key=env["CARTOUCHE_S3_ACCESS_KEY"],
                secret_key=env["CARTOUCHE_S3_SECRET_KEY"],
                signing_access_key=env["CARTOUCHE_S3_ACCESS_KEY"],
                signing_secret_key=env["CARTOUCHE_S3_SECRET_KEY"],
                images_bucket=self.stack.images_bucket,
                exports_bucket=self.stack.exports_bucket,
            )
        )

    def left_in_store(self, export_id: str) -> list[str]:
        """Every object, and every part of an upload, that the store holds of an export."""
        store = self.objects()
        try:
            objects = [
                found.key
                for found in store.list(self.stack.exports_bucket)
                if f"/{export_id}/" in found.key
            ]
            organization = self.rows("SELECT id FROM organizations WHERE name = 'test'")[0][0]
            key = f"{organization}/{export_id}/archive.zip"
            return objects + [u.upload_id for u in store.list_uploads(key) if u.key == key]
        finally:
            store.close()

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            self.stack.env["CARTOUCHE_DATABASE_URL"], autocommit=True, connect_timeout=5
        )


@contextmanager
def recorded(
    postgresql: parts.PostgreSQL,
    broker: parts.RabbitMQ | parts.Redis,
    object_store: parts.ObjectStore,
    noise: Sequence[Path],
    name: str,
    program: Path = CARTOUCHE,
) -> Iterator[RecordedPipeline]:
    """A stack with two workers, on a database of its own; `program`: of another version."""
    with Production(
        postgresql.create_database(),
        broker.url,
        object_store,
        name=name,
        settings=SETTINGS,
        program=program,
    ) as stack:
        yield RecordedPipeline(stack, noise)


def wait_until(true: Callable[[], bool], what: str, pause: float = 0.05) -> None:
    """Waits until something is so.

    Raises:
        AssertionError: it is not so after PATIENCE seconds.
    """
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"after {PATIENCE:g} s it is not so that {what}"
        time.sleep(pause)


def draw_noise(folder: Path, count: int, seed: int, side: int = 950) -> list[Path]:
    """Images that nothing compresses, of `side` by `side` pixels of 3 bytes."""
    source = random.Random(seed)
    files = []
    for number in range(count):
        file = folder / f"{seed}-{number}.png"
        pixels = source.randbytes(side * side * 3)
        Image.frombytes("RGB", (side, side), pixels).save(file, compress_level=0)
        files.append(file)
    return files
