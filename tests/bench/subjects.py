"""What is measured: exports of a running Cartouche, and the plain script beside them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.importing.client import import_dataset
from services.importing.summary import ImportSummary
from tests.bench.boxed import CLASSES, boxed
from tests.bench.latency import Latency, latencies
from tests.parts import (
    Credentials,
    MinIO,
    ObjectStore,
    Part,
    PgServerWheel,
    PostgreSQL,
    RabbitMQ,
    Rclone,
    Redis,
)
from tests.processes import Process, environment
from tests.stack import Embedded, Production, Stack

DATASET = ORGANIZATION = "bench"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """One export. `peak_bytes` is the most resident memory that the process had, or the
    processes had that did the work, without the object store."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Subject:
    """A Cartouche with the images imported, and the address of its store for the plain script."""

    def __init__(
        self, title: str, stack: Stack, worker: Process, store: "StoreAddress", images: int
    ) -> None:
        self.title = title
        self._stack = stack
        self._worker = worker
        self._store = store
        self._images = images
        self._stub = ExportServiceStub(stack.channel)
        self._prefix = ""
        self._runs = 0
        self._kept: list[str] = []

    def fill(self, files: list[Path]) -> None:
        """Imports the images, each with ten boxes, a hundredth of them in each folder."""
        summary = self.put(dict(enumerate(files)))
        assert summary.created.images == len(files), summary
        dataset = (
            CatalogServiceStub(self._stack.channel)
            .GetDataset(
                catalog_pb.GetDatasetRequest(dataset_name=DATASET),
                metadata=self._stack.metadata("viewer", ORGANIZATION),
                timeout=30,
            )
            .dataset
        )
        self._prefix = f"{dataset.organization_id}/"

    def put(self, files: Mapping[int, Path]) -> ImportSummary:
        """Imports images by their numbers, or replaces them."""
        items = (
            boxed(f"{100 * number // self._images:03}/{number:05}.png", file, number)
            for number, file in files.items()
        )
        return import_dataset(
            self._stack.endpoint,
            self._stack.key("member", ORGANIZATION),
            DATASET,
            items,
            CLASSES,
        )

    def cartouche(self, *, keeps: bool = False) -> Run:
        """One export in COCO with images, from its creation until it is completed; `keeps`: it
        takes the place of the one that was kept before."""
        self._runs += 1
        metadata = self._stack.metadata("owner", ORGANIZATION)
        process = psutil.Process(self._worker.pid)
        self._worker.forget_peak()
        cpu = _cpu_seconds(process)
        request = pb.CreateExportRequest(
            dataset_name=DATASET, name=f"run {self._runs}", format="coco", include_images=True
        )
        export = self._stub.CreateExport(request, metadata=metadata, timeout=30).export
        watched = pb.WatchExportRequest(id=export.id)
        for answer in self._stub.WatchExport(watched, metadata=metadata, timeout=600):
            export = answer.export
        assert export.status == pb.EXPORT_STATUS_COMPLETED, export.error_message
        assert export.image_count == self._images
        took = export.completed_at.ToDatetime() - export.created_at.ToDatetime()
        run = Run(took.total_seconds(), _cpu_seconds(process) - cpu, self._worker.peak_memory())
        self._kept.append(export.id)
        for export_id in self._kept[: -1 if keeps else None]:
            gone = pb.DeleteExportRequest(id=export_id)
            self._stub.DeleteExport(gone, metadata=metadata, timeout=30)
            self._kept.remove(export_id)
        return run

    def worker_bytes(self) -> float:
        """Bytes of images that the worker has read and stored so far."""
        start = 'cartouche_stage_bytes_total{stage="images"} '
        lines = self._stack.look(self._worker.name, "/metrics").text.splitlines()
        return next((float(line[len(start) :]) for line in lines if line.startswith(start)), 0.0)

    def forget(self) -> None:
        """Lets nothing be copied of the exports that there are."""
        with psycopg.connect(self._stack.env["CARTOUCHE_DATABASE_URL"]) as connection:
            connection.execute("UPDATE exports SET layout_version = NULL")

    def latencies(self, calls: int) -> tuple[Latency, Latency]:
        """Of a call over REST, and of the same over gRPC."""
        return latencies(self._stack, ORGANIZATION, calls)

    def plain(self) -> Run:
        """The plain script on the same images in the same store."""
        return self._script("plain")

    def floor(self) -> Run:
        """The same bytes from store to store, with nothing done to them."""
        # What the dataset holds now: what was replaced lies there a while longer.
        with psycopg.connect(self._stack.env["CARTOUCHE_DATABASE_URL"]) as connection:
            keys = connection.execute("SELECT object_key FROM images ORDER BY path").fetchall()
        return self._script("floor", "\n".join(key for (key,) in keys))

    def _script(self, name: str, told: str = "") -> Run:
        """A module of this package, in a process of its own."""
        store = self._store
        key = f"{name}.zip"
        done = subprocess.run(
            [
                *(sys.executable, "-m", f"tests.bench.{name}", urlsplit(store.endpoint).netloc),
                *(store.region, store.images_bucket, self._prefix, store.exports_bucket, key),
            ],
            cwd=REPOSITORY,
            env=environment(
                BENCH_ACCESS_KEY=store.credentials.access_key,
                BENCH_SECRET_KEY=store.credentials.secret_key,
            ),
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result["images"] == self._images, result
        return Run(result["seconds"], result["cpu_seconds"], result["peak_bytes"])

    def rclone(self) -> Run:
        """`rclone archive create` of the same images, from its start to its end."""
        store = self._store
        remote = (
            f":s3,provider=Minio,endpoint='{store.endpoint}',region={store.region},"
            f"access_key_id={store.credentials.access_key},"
            f"secret_access_key={store.credentials.secret_key}:"
        )
        source = f"{remote}{store.images_bucket}/{self._prefix}"
        archive = f"{remote}{store.exports_bucket}/rclone.zip"
        program = Path(sys.executable).parent / "rclone"
        started = time.perf_counter()
        process = subprocess.Popen(
            [program, "--config", "/dev/null", "archive", "create", source, archive],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, said.decode()
        # In KiB, on Linux.
        peak = used.ru_maxrss * 1024
        return Run(time.perf_counter() - started, used.ru_utime + used.ru_stime, peak)


@dataclass(frozen=True)
class StoreAddress:
    """Where the images of a subject lie."""

    endpoint: str
    region: str
    credentials: Credentials
    images_bucket: str
    exports_bucket: str


@contextmanager
def subjects(
    files: list[Path], *, embedded: bool = True, settings: Mapping[str, str] | None = None
) -> Iterator[list[Subject]]:
    """A production-like Cartouche, with these settings, and, if wanted, an embedded one, with the
    images imported."""
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        production = running.enter_context(
            Production(
                postgresql.create_database(),
                broker.url,
                store,
                name="bench-production",
                workers=1,
                settings=settings,
            )
        )
        found = [
            Subject(
                f"{store.title} {store.version()}, {postgresql.title}, {broker.title}, one worker",
                production,
                production.workers[0],
                StoreAddress(
                    store.endpoint,
                    production.env["CARTOUCHE_S3_REGION"],
                    store.credentials,
                    production.images_bucket,
                    production.exports_bucket,
                ),
                len(files),
            )
        ]
        if embedded:
            alone = running.enter_context(Embedded("bench-embedded"))
            found.append(
                Subject(
                    f"rclone {Rclone.version()}, embedded",
                    alone,
                    alone.processes["run"],
                    _embedded_store(alone),
                    len(files),
                )
            )
        for subject in found:
            subject.fill(files)
        yield found


def servers(running: ExitStack) -> tuple[PostgreSQL, RabbitMQ | Redis, ObjectStore]:
    """A database, a broker and a store that run until the stack of contexts ends."""
    postgresql = _started(running, PgServerWheel if PostgreSQL.missing() else PostgreSQL)
    assert isinstance(postgresql, PostgreSQL)
    broker = _started(running, Redis if RabbitMQ.missing() else RabbitMQ)
    assert isinstance(broker, RabbitMQ | Redis)
    store = _started(running, Rclone if MinIO.missing() else MinIO)
    assert isinstance(store, ObjectStore)
    return postgresql, broker, store


def _started(running: ExitStack, kind: type[Part]) -> Part:
    if reason := kind.missing():
        sys.exit(f"{kind.title}: {reason}. Install it with: make parts")
    part = kind()
    running.callback(part.remove)
    return part.start()


def _embedded_store(stack: Stack) -> StoreAddress:
    saved = json.loads((stack.folder / "home" / "store.json").read_text())
    return StoreAddress(
        f"http://127.0.0.1:{saved['port']}",
        "us-east-1",
        Credentials(saved["access_key"], saved["secret_key"]),
        "cartouche-images",
        "cartouche-exports",
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
