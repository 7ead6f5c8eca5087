"""What one thing costs each part: seconds of CPU, transactions of the record, calls of the store,
bytes that are kept. docs/capacity.md counts with it.

Many of each are made, one after the other, and their sums divided; what the parts do while nobody
asks is in the figures.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from services.importing.client import import_dataset
from tests.bench.boxed import CLASSES, boxed
from tests.bench.drawing import draw
from tests.bench.filled import DIFFERENT, fill
from tests.bench.rendering import watched
from tests.bench.rows import Row, main
from tests.bench.subjects import servers
from tests.exports import create
from tests.parts import ObjectStore, Part
from tests.stack import Production

#: Images of two exports with images, and bytes of each.
IMAGES, SIZE = 2_000, 98_000
PHOTOS, PHOTO = DIFFERENT, 1_000_000
#: Images of a small export, of annotations alone.
SMALL = DIFFERENT
IMPORTED = 1_000
PARTS = ("gateway", "server", "worker", "PostgreSQL", "store")


@dataclass(frozen=True)
class Cost:
    """Of one thing: milliseconds of CPU by part, transactions, and calls of the store."""

    cpu: dict[str, float]
    transactions: float
    calls: float

    def __str__(self) -> str:
        cpu = ", ".join(f"{part} {self.cpu[part]:.3g}" for part in PARTS if self.cpu[part] >= 0.005)
        counted = f"{self.transactions:.3g} transactions, {self.calls:.3g} calls of the store"
        return f"ms of CPU: {cpu}; {counted}"


def rows(quick: bool) -> list[Row]:
    """Measures each kind of thing by itself."""
    gets, smalls, larges, photos = (200, 5, 2, 1) if quick else (5_000, 100, 10, 5)
    source = random.Random(4)
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(),
                broker.url,
                store,
                name="bench-footprint",
                workers=1,
                settings={"CARTOUCHE_COPY_GENERATIONS": "0"},
            )
        )
        parts = _Parts(stack, postgresql, store)
        fill(stack, "small", SMALL)
        fill(stack, "large", IMAGES, [source.randbytes(SIZE) for _ in range(100)])
        fill(stack, "photos", PHOTOS, [source.randbytes(PHOTO) for _ in range(20)])
        _export(stack, "small")
        last = _export(stack, "large", include_images=True)
        client = stack.http("viewer")

        def get() -> None:
            assert client.get(f"/api/v1/developer/exports/{last}").is_success

        costs = {
            "GET of one export": parts.cost(get, gets),
            f"export of {SMALL:,} images, annotations alone, COCO": parts.cost(
                lambda: _export(stack, "small"), smalls
            ),
            f"export of {IMAGES:,} images of {SIZE // 1000} KB, COCO": parts.cost(
                lambda: _export(stack, "large", include_images=True), larges
            ),
            f"export of {PHOTOS:,} images of {PHOTO // 1_000_000} MB, COCO": parts.cost(
                lambda: _export(stack, "photos", include_images=True), photos
            ),
            f"import of {IMPORTED:,} images of 98 KB with ten boxes": parts.cost(
                lambda: _import(stack), 1
            ),
        }
        kept = _bytes_of_image(stack)
    return [
        *(Row(f"one {what}", str(cost)) for what, cost in costs.items()),
        Row("the record of an image with ten boxes, indexes included", f"{kept:,.0f} bytes"),
    ]


class _Parts:
    """The processes of a stack, and what they have counted."""

    def __init__(self, stack: Production, postgresql: Part, store: ObjectStore) -> None:
        self._stack = stack
        self._pids = {
            "gateway": stack.processes["gateway"].pid,
            "server": stack.processes["serve"].pid,
            "worker": stack.workers[0].pid,
            "PostgreSQL": postgresql.process.pid,
            "store": store.process.pid,
        }

    def cost(self, make: Callable[[], object], times: int) -> Cost:
        """What one of `times` costs that are made one after the other."""
        before, count = self._cpu(), self._count()
        for _ in range(times):
            make()
        after, counted = self._cpu(), self._count()
        return Cost(
            {part: 1000 * (after[part] - before[part]) / times for part in PARTS},
            (counted[0] - count[0]) / times,
            (counted[1] - count[1]) / times,
        )

    def _cpu(self) -> dict[str, float]:
        return {part: sum(_seconds(pid)) for part, pid in self._pids.items()}

    def _count(self) -> tuple[float, float]:
        """Transactions, and calls of the store, so far."""
        transactions = calls = 0.0
        for name in ("serve", self._stack.workers[0].name):
            text = self._stack.look(name, "/metrics").text
            for family in text_string_to_metric_families(text):
                values = [s.value for s in family.samples if s.name.endswith("_total")]
                if family.name == "cartouche_database_transactions":
                    transactions += sum(values)
                elif family.name == "cartouche_store_calls":
                    calls += sum(values)
        return transactions, calls


def _seconds(pid: int) -> Iterator[float]:
    """CPU seconds of a process and of those that it has started, ended ones included."""
    process = psutil.Process(pid)
    for one in (process, *process.children(recursive=True)):
        times = one.cpu_times()
        yield times.user + times.system
    ended = process.cpu_times()
    yield ended.children_user + ended.children_system


def _export(stack: Production, dataset: str, **fields: Any) -> str:
    return watched(stack, create(stack, dataset, format="coco", **fields).id).id


def _import(stack: Production) -> None:
    with tempfile.TemporaryDirectory() as folder:
        items = [
            boxed(f"{number:05}.png", file, number)
            for number, file in enumerate(draw(Path(folder), IMPORTED))
        ]
        summary = import_dataset(
            stack.endpoint,
            stack.key("member"),
            "imported",
            items,
            CLASSES,
        )
    assert summary.created.images == IMPORTED, summary


def _bytes_of_image(stack: Production) -> float:
    with psycopg.connect(stack.env["CARTOUCHE_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("VACUUM FULL images")
        found = connection.execute(
            "SELECT pg_total_relation_size('images')::float / count(*) FROM images"
        ).fetchone()
    assert found is not None
    return float(found[0])


if __name__ == "__main__":
    main("footprint", __doc__, rows)
