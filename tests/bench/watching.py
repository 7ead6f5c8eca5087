"""How soon a client that watches sees a small export completed: 100 images, annotations alone, from
before the create until the message that says so."""

import statistics
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.importing.client import import_dataset
from tests.bench.boxed import CLASSES, boxed
from tests.bench.drawing import draw
from tests.bench.rows import Row, main
from tests.bench.subjects import servers
from tests.stack import Production

IMAGES = 100
DATASET = "watched"
#: Exports before those that count.
WARM_UP = 5


def rows(quick: bool) -> list[Row]:
    """Measures one export after the other."""
    samples = 30 if quick else 400
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-watching", workers=2
            )
        )
        _fill(stack)
        taken = [_seconds(stack) for _ in range(WARM_UP + samples)][WARM_UP:]
    hundredths = statistics.quantiles(taken, n=100)
    p50, p99 = hundredths[49], hundredths[98]
    return [
        Row(
            f"create to completed as a watch sees it, {IMAGES} images, annotations only",
            f"p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms",
            "p50 <= 60 ms, p99 <= 150 ms",
            p50 <= 0.06 and p99 <= 0.15,
        )
    ]


def _fill(stack: Production) -> None:
    with tempfile.TemporaryDirectory() as folder:
        items = (
            boxed(f"{number:03}.png", file, number)
            for number, file in enumerate(draw(Path(folder), IMAGES))
        )
        summary = import_dataset(
            stack.endpoint,
            stack.key("member"),
            DATASET,
            items,
            CLASSES,
        )
    assert summary.created.images == IMAGES, summary


def _seconds(stack: Production) -> float:
    stub, metadata = ExportServiceStub(stack.channel), stack.metadata("member")
    request = pb.CreateExportRequest(dataset_name=DATASET, name=uuid.uuid4().hex, format="coco")
    began_at = time.perf_counter()
    export = stub.CreateExport(request, metadata=metadata, timeout=60).export
    for answer in stub.WatchExport(
        pb.WatchExportRequest(id=export.id), metadata=metadata, timeout=60
    ):
        export = answer.export
    assert export.status == pb.EXPORT_STATUS_COMPLETED, export
    return time.perf_counter() - began_at


if __name__ == "__main__":
    main("watching", __doc__, rows)
