"""Two workers beside one, on a store that is 20 ms away: several exports at once of annotations
alone, and with images. Every answer of the store to a worker comes so much later.

What is measured is how much more two workers do. Of one export they share the segments, and neither
its plan nor its end. Database, broker and store take their part of the same machine, so the two are
measured without the distance as well, through the same proxy: what they take then, they take of
the machine.
"""

import random
import statistics
from contextlib import ExitStack

from cartouche.exports.v1 import export_service_pb2 as pb

from tests.bench.filled import DIFFERENT, fill
from tests.bench.rendering import watched
from tests.bench.rows import Row, main
from tests.bench.subjects import servers
from tests.exports import create, stub
from tests.needs import started
from tests.stack import CartoucheProcess, Production
from tests.toxiproxy import Toxiproxy

#: Milliseconds.
DISTANCE = 20
ROUNDS = 5
#: Exports at once.
EXPORTS = 4
#: Images of each: of annotations alone; with their bytes, and bytes of each.
TEXTS, IMAGES, SIZE = 20_000, 2_000, 98_000
#: Of what one worker takes by what two take.
LEAST = 1.9


def rows(quick: bool) -> list[Row]:
    """How many times as fast two workers are, for each kind of export."""
    texts, images, rounds = (DIFFERENT, DIFFERENT, 1) if quick else (TEXTS, IMAGES, ROUNDS)
    kinds = {
        f"{EXPORTS} exports of {texts:,} images, annotations alone": ("texts", False),
        f"{EXPORTS} exports of {images:,} images of {SIZE // 1_000} KB": ("images", True),
    }
    source = random.Random(3)
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        proxy = running.enter_context(started(Toxiproxy)).proxy("store", store.port)
        proxy.add("latency", latency=DISTANCE)
        stack = running.enter_context(
            Production(
                postgresql.create_database(),
                broker.url,
                store,
                name="bench-distance",
                workers=2,
                settings={
                    "CARTOUCHE_S3_ENDPOINT": store.endpoint.replace(
                        str(store.port), str(proxy.port)
                    ),
                    # Each export is to be built.
                    "CARTOUCHE_COPY_GENERATIONS": "0",
                },
            )
        )
        fill(stack, "texts", texts)
        files = [source.randbytes(SIZE) for _ in range(20)]
        fill(stack, "images", images, files)
        second = stack.workers[1]
        ratios: dict[str, list[float]] = {title: [] for title in kinds}
        taken: dict[str, list[float]] = {title: [] for title in kinds}
        beside: dict[str, list[float]] = {title: [] for title in kinds}
        for number in range(rounds + 1):
            for title, (dataset, include_images) in kinds.items():
                second.stop()
                alone = seconds(stack, dataset, include_images=include_images)
                _start(second)
                both = seconds(stack, dataset, include_images=include_images)
                proxy.remove("latency")
                near = seconds(stack, dataset, include_images=include_images)
                proxy.add("latency", latency=DISTANCE)
                # The first round warms up.
                if number or quick:
                    ratios[title].append(alone / both)
                    taken[title].append(both)
                    beside[title].append(both / near)
    return [
        row
        for title, found in ratios.items()
        for row in (
            Row(
                f"{title}, store {DISTANCE} ms away: one worker's seconds / two workers'",
                f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f}; "
                f"{statistics.median(taken[title]):.2f} s with two)",
                f">= {LEAST}",
                statistics.median(found) >= LEAST,
            ),
            Row(
                "the same: two workers' seconds / theirs without the distance",
                f"{statistics.median(beside[title]):.2f}",
            ),
        )
    ]


def seconds(stack: Production, dataset: str, *, include_images: bool) -> float:
    """From the creation of the first export until all are completed; they are deleted."""
    created = [
        create(stack, dataset, format="coco", include_images=include_images) for _ in range(EXPORTS)
    ]
    built = [watched(stack, export.id) for export in created]
    for export in built:
        stub(stack).DeleteExport(
            pb.DeleteExportRequest(id=export.id), metadata=stack.metadata("owner"), timeout=30
        )
    first = min(export.created_at.ToDatetime() for export in built)
    last = max(export.completed_at.ToDatetime() for export in built)
    return (last - first).total_seconds()


def _start(worker: CartoucheProcess) -> None:
    worker.start()
    worker.wait_ready()


if __name__ == "__main__":
    main("distance", __doc__, rows)
