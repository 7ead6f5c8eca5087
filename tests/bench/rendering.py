"""Annotations alone: images that a worker exports for each second of a core, in every format.

The whole of an export counts: the plan with its reading of the record, the text, the archive's end,
and the check. Seconds of a core are those of user and system that all threads of the worker's
process take, so that what else the machine does changes little: it still shares caches.
"""

import statistics
from contextlib import ExitStack
from typing import Any

import psutil
from cartouche.exports.v1 import export_service_pb2 as pb

from services.formats.registry import FORMATS
from tests.bench.filled import DIFFERENT, fill
from tests.bench.rows import Row, main
from tests.bench.subjects import Run, servers
from tests.exports import create, stub
from tests.stack import Production

DATASET = "boxes"
IMAGES = 20_000
#: Seconds that an export may take.
PATIENCE = 600.0
ROUNDS = 5
QUICK_IMAGES = 2 * DIFFERENT
#: Images a second and core.
GOALS = {"coco": 20_000, "pictograph": 12_000, "yolo": 9_000}
GOAL = 4_500


def rows(quick: bool) -> list[Row]:
    """A row for each format."""
    count, rounds = (QUICK_IMAGES, 1) if quick else (IMAGES, ROUNDS)
    runs: dict[str, list[Run]] = {name: [] for name in FORMATS}
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-rendering", workers=1
            )
        )
        fill(stack, DATASET, count)
        for name in FORMATS:
            # Modules and tables are loaded at first use.
            export(stack, DATASET, name, count)
        for _ in range(rounds):
            for name, found in runs.items():
                found.append(export(stack, DATASET, name, count))
    return [_row(name, count, found) for name, found in runs.items()]


def export(stack: Production, dataset: str, format_: str, count: int, **fields: Any) -> Run:
    """One export of a dataset of so many images, as its only worker took it; it is deleted."""
    worker = stack.workers[0]
    process = psutil.Process(worker.pid)
    worker.forget_peak()
    before = process.cpu_times()
    built = watched(stack, create(stack, dataset, format=format_, **fields).id)
    after = process.cpu_times()
    assert built.image_count == count
    stub(stack).DeleteExport(
        pb.DeleteExportRequest(id=built.id), metadata=stack.metadata("owner"), timeout=30
    )
    return Run(
        (built.completed_at.ToDatetime() - built.created_at.ToDatetime()).total_seconds(),
        after.user - before.user + after.system - before.system,
        worker.peak_memory(),
    )


def watched(stack: Production, export_id: str) -> pb.Export:
    """An export once it is completed, however long it takes."""
    *_, last = stub(stack).WatchExport(
        pb.WatchExportRequest(id=export_id), metadata=stack.metadata("viewer"), timeout=PATIENCE
    )
    assert last.export.status == pb.EXPORT_STATUS_COMPLETED, last.export
    return last.export


def _row(name: str, count: int, runs: list[Run]) -> Row:
    rates = [count / run.cpu_seconds for run in runs]
    seconds = statistics.median(run.seconds for run in runs)
    goal = GOALS.get(name, GOAL)
    rate = statistics.median(rates)
    return Row(
        f"{count:,} images with ten boxes, annotations alone, {name}, by CPU seconds of the worker",
        f"{rate:,.0f} images/s and core ({min(rates):,.0f} to {max(rates):,.0f}; {seconds:.2f} s)",
        f">= {goal:,}",
        rate >= goal,
    )


if __name__ == "__main__":
    main("rendering", __doc__, rows)
