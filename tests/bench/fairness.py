"""`make bench-fairness`: a small export of one organization, while another has hundreds of large
ones waiting, beside the same export on an idle Cartouche.

Both are watched by a client, from the create to the message that says `completed`.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.catalog.model import DatasetClass
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem
from tests.bench.drawing import SIDE, draw, machine
from tests.bench.subjects import servers
from tests.stack import Production

#: The smallest part that S3 takes: an export of as many segments as possible.
PART_SIZE = 5 * 2**20
SEGMENTS = 200
QUEUED = 500
SAMPLES = 20
SMALL = 20
#: Files that differ; a dataset has each of them many times.
FILES = 50


def main() -> None:
    """Measures, and prints one line for each situation."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.fairness", description=__doc__)
    arguments.add_argument("--queued", type=int, default=QUEUED, help="large exports that wait")
    arguments.add_argument("--segments", type=int, default=SEGMENTS, help="of each of them")
    arguments.add_argument("--workers", type=int, default=2, help="worker processes")
    chosen = arguments.parse_args()
    with stack(chosen.workers) as production, tempfile.TemporaryDirectory() as folder:
        files = draw(Path(folder), FILES)
        images = chosen.segments * PART_SIZE // (SIDE * SIDE * 3)
        print(machine())
        print(
            f"{chosen.queued} exports of {chosen.segments} segments wait, {chosen.workers} workers "
            f"of 4 threads; a small export has {SMALL} images",
            flush=True,
        )
        fill(production, "large", "noisy", files, images)
        fill(production, "small", "quiet", files, SMALL)
        idle = samples(production)
        for number in range(chosen.queued):
            create(production, "noisy", "large", f"queued {number}")
        # Until every thread that may is at work on one of them.
        time.sleep(10)
        loaded = samples(production)
        for title, found in (("idle", idle), ("beside the queue", loaded)):
            print(
                f"{title}: median {statistics.median(found):.2f} s, "
                f"least {min(found):.2f} s, most {max(found):.2f} s",
                flush=True,
            )
        bound = 2 * statistics.median(idle) + 0.5
        print(
            f"median beside the queue / (2 x idle + 0.5 s): {statistics.median(loaded) / bound:.2f}"
        )
        waits, steps = claims(production)
        print(
            f"wait for a claim beside the queue: median {statistics.median(waits):.3f} s, most "
            f"{max(waits):.3f} s; the short step itself: median {statistics.median(steps):.3f} s, "
            f"most {max(steps):.3f} s; longest wait / longest step: {max(waits) / max(steps):.2f}"
        )


@contextmanager
def stack(workers: int) -> Iterator[Production]:
    """Every part in a process of its own."""
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        yield running.enter_context(
            Production(
                postgresql.create_database(),
                broker.url,
                store,
                name="bench-fairness",
                workers=workers,
                settings={"CARTOUCHE_PART_SIZE": str(PART_SIZE)},
            )
        )


def fill(
    production: Production, dataset: str, organization: str, files: list[Path], images: int
) -> None:
    """A dataset of so many images, each with a box."""
    box = {"x": 1, "y": 2, "w": 20.5, "h": 10.25}
    items = (
        ImportItem(
            path=f"{number:06}.png",
            file=files[number % len(files)],
            status="complete",
            annotations=[{"id": f"{number}", "name": "thing", "type": "bbox", "bounding_box": box}],
        )
        for number in range(images)
    )
    summary = import_dataset(
        production.endpoint,
        production.key("member", organization),
        dataset,
        items,
        [DatasetClass("thing")],
    )
    assert summary.created.images == images, summary


def create(production: Production, organization: str, dataset: str, name: str) -> str:
    """The id of a new export in COCO, with images."""
    request = pb.CreateExportRequest(
        dataset_name=dataset, name=name, format="coco", include_images=True
    )
    metadata = production.metadata("member", organization)
    answer = ExportServiceStub(production.channel).CreateExport(
        request, metadata=metadata, timeout=60
    )
    return answer.export.id


def samples(production: Production) -> list[float]:
    """Seconds of small exports, one after the other."""
    stub = ExportServiceStub(production.channel)
    metadata = production.metadata("viewer", "quiet")
    found = []
    for _ in range(SAMPLES):
        began_at = time.perf_counter()
        export_id = create(production, "quiet", "small", uuid.uuid4().hex)
        status = pb.EXPORT_STATUS_UNSPECIFIED
        for answer in stub.WatchExport(
            pb.WatchExportRequest(id=export_id), metadata=metadata, timeout=600
        ):
            status = answer.export.status
        assert status == pb.EXPORT_STATUS_COMPLETED
        found.append(time.perf_counter() - began_at)
    return found


def claims(production: Production) -> tuple[list[float], list[float]]:
    """Seconds that the last small exports waited for a claim, and that their step then took: what
    the record has of them."""
    query = (
        "SELECT snapshot_at - exports.created_at, completed_at - snapshot_at FROM exports"
        " JOIN datasets ON datasets.id = dataset_id"
        " WHERE datasets.name = 'small' AND completed_at IS NOT NULL"
        " ORDER BY exports.created_at DESC LIMIT %s"
    )
    with psycopg.connect(production.env["CARTOUCHE_DATABASE_URL"]) as connection:
        found = connection.execute(query, [SAMPLES]).fetchall()
    waits, steps = zip(*found, strict=True)
    return list(waits), list(steps)


if __name__ == "__main__":
    main()
