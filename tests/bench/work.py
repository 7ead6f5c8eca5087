"""`make bench-work`: what grows with what: memory and time of the work at two sizes each.

Every row is measured in a process of its own, that of an import excepted, which has a server of its
own. Where a row is to be flat or linear, its last column says how far it is from that.
"""

import argparse
import gc
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
from sqlalchemy import insert

from services.allocator import settle, trim
from services.catalog.annotations import normalise
from services.catalog.datasets import create_dataset
from services.catalog.model import DatasetClass
from services.database.engine import Database
from services.database.migrate import migrate
from services.database.tables import class_set_members, class_sets, image_totals
from services.exports.model import ExportRequest
from services.exports.preview import preview_export
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.registry import FORMATS
from services.identity.keys import ensure_organization
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem
from services.storage import ObjectStore
from tests.bench.drawing import draw, machine
from tests.bench.plain import peak_bytes
from tests.bench.subjects import servers
from tests.memory_archives import InMemory, archive_of
from tests.stack import Production
from workers.check import check
from workers.leases import Held
from workers.segment import build_text
from workers.segment_manifest import Block, PlannedImage
from workers.staging import MemoryStaging

HELD = cast(Held, SimpleNamespace(check=lambda: None))
MIB = 2**20
PHOTO = bytes(800)


@dataclass(frozen=True)
class Cost:
    """Seconds, and bytes of memory above those before."""

    seconds: float
    memory: int


def cost_of(job: Callable[..., Any], *arguments: Any) -> Cost:
    """What a function costs that gives what is to be done, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_measured, job, *arguments).result()


def _measured(job: Callable[..., Any], *arguments: Any) -> Cost:
    settle()
    work = job(*arguments)
    gc.collect()
    trim()
    Path("/proc/self/clear_refs").write_text("5")
    before, started = peak_bytes(), time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    return Cost(seconds, peak_bytes() - before)


def info(format_: str, classes: Sequence[str], **fields: Any) -> ExportInfo:
    """An export of a dataset with these classes."""
    found = tuple(DatasetClass(name) for name in classes)
    return ExportInfo(
        "organization", "dataset", "bench", format_, found, cartouche_version="bench", **fields
    )


def image(annotations: bytes, number: int, side: int = 100) -> ExportImage:
    """An image with these annotations."""
    name = f"{number:06}.png"
    first = number * 1_000_000
    return ExportImage(
        f"image-{number}",
        number,
        first,
        name,
        name,
        "complete",
        None,
        side,
        side,
        len(PHOTO),
        "0" * 64,
        annotations,
    )


def boxes(count: int, names: Sequence[str], seed: int = 0) -> bytes:
    """A document of so many boxes."""
    source = random.Random(seed)
    found = [
        {
            "id": f"{seed}-{number}",
            "name": source.choice(names),
            "type": "bbox",
            "bounding_box": {
                "x": source.uniform(0, 90),
                "y": source.uniform(0, 90),
                "w": 5.5,
                "h": 5.25,
            },
        }
        for number in range(count)
    ]
    return normalise(orjson.dumps(found)).document


def outline(*rings: Sequence[tuple[float, float]]) -> bytes:
    """A document of one polygon."""
    paths = [[{"x": x, "y": y} for x, y in ring] for ring in rings]
    shape = {"name": "thing", "type": "polygon", "polygon": {"paths": paths}}
    return normalise(orjson.dumps([shape])).document


class Nowhere(MemoryStaging):
    """Keeps nothing, as the store keeps it elsewhere."""

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Forgets them."""


def segment(format_: str, images: int) -> Callable[[], Any]:
    """The text of a segment of small images with half a megabyte of annotations each."""
    document = boxes(2_900, ["thing"])

    def blocks() -> Iterator[Block]:
        for number in range(1, images + 1):
            yield [PlannedImage(image(bytes(bytearray(document)), number), "key", 0)]

    return lambda: build_text(HELD, blocks(), info(format_, ["thing"]), Nowhere(), "1-")


def rendering(format_: str, document: bytes, side: int) -> Callable[[], Any]:
    """One image."""
    writer, export = FORMATS[format_].writer, info(format_, ["thing"])
    writer.render(image(boxes(1, ["thing"]), 1), export)
    return lambda: writer.render(image(document, 2, side), export)


def zigzag() -> bytes:
    """A line that goes to and fro over a picture, as long as the limits allow, in 47 kB."""
    turns, side = 2_250, 115
    points = [(0.0 if n % 2 else float(side), n * side / turns) for n in range(turns)]
    return outline(points)


def rings(count: int) -> bytes:
    """A polygon of so many triangles."""
    return outline(
        *(
            [(x * 8.0, y * 8.0), (x * 8.0 + 7, y * 8.0), (x * 8.0 + 7, y * 8.0 + 7)]
            for x, y in (divmod(n, 100) for n in range(count))
        )
    )


def look_ups(classes: int, wanted: int) -> Callable[[], Any]:
    """A hundred images of twenty boxes, of some of the classes."""
    names = [f"class {number}" for number in range(classes)]
    writer = FORMATS["coco"].writer
    export = info("coco", names, class_filter=tuple(names[:wanted]))
    found = [image(boxes(20, names, number), number) for number in range(1, 101)]
    writer.render(found[0], export)
    return lambda: [writer.render(one, export) for one in found]


def checking(files: int) -> Callable[[], Any]:
    """The check of an archive of so many small text files."""
    export = info("pictograph", ["thing"])
    document = boxes(1, ["thing"])
    images = [image(document, n) for n in range(1, files + 1)]
    writer = FORMATS["pictograph"].writer
    names = [writer.image_path(one, export) for one in images]
    data, expected = archive_of(export, images, names, PHOTO)
    store = cast(ObjectStore, InMemory(data))
    return lambda: check(store, HELD, expected, "sample")


def previews(sets: int, is_filtered: bool) -> Callable[[], Any]:
    """A preview of a dataset whose images have so many different sets of classes, on SQLite."""
    folder = tempfile.mkdtemp(prefix="cartouche-bench-")
    database = Database(f"sqlite:///{folder}/record.db", 2)
    migrate(database)
    organization = ensure_organization(database, "bench")
    names = [f"class {number}" for number in range(200)]
    made = create_dataset(database, organization, "tail", [DatasetClass(name) for name in names])
    numbers = range(1, sets + 1)
    source = random.Random(1)
    columns = [c.name for c in image_totals.columns if not c.primary_key]
    with database.write() as connection:
        mine = {"dataset_id": made.id}
        connection.execute(
            insert(class_sets), [{**mine, "number": n, "key": f"{n:064}"} for n in numbers]
        )
        connection.execute(
            insert(class_set_members),
            [
                {**mine, "class_id": class_id, "class_set_number": n}
                for n in numbers
                for class_id in source.sample(range(200), 3)
            ],
        )
        connection.execute(
            insert(image_totals),
            [
                {**mine, "status": "complete", "class_set_number": n, **dict.fromkeys(columns, 1)}
                for n in numbers
            ],
        )
    wanted = tuple(names[::2]) if is_filtered else ()
    request = ExportRequest("tail", "", "coco", class_filter=wanted)

    def ask() -> None:
        preview_export(database, organization, request)

    ask()
    return ask


def imported(documents: int) -> Cost:
    """An import of documents of 3 MiB: its seconds, and the bytes of the server at its peak above
    those before."""
    annotations = orjson.loads(boxes(16_500, ["thing"]))
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-work", workers=0
            )
        )
        files = draw(Path(folder), 8)
        key = stack.key("member")
        before, started = stack.server.memory(), time.perf_counter()
        items = (
            ImportItem(f"{n}.png", files[n % 8], "complete", annotations=annotations)
            for n in range(documents)
        )
        summary = import_dataset(stack.endpoint, key, "large", items, [DatasetClass("thing")])
        assert summary.taken == documents, summary
        return Cost(time.perf_counter() - started, stack.server.peak_memory() - before)


def main() -> None:
    """Measures, and prints a table in Markdown."""
    arguments = argparse.ArgumentParser(prog="python -m tests.bench.work", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of each size, no import")
    quick = arguments.parse_args().quick
    part = 10 if quick else 1
    print(machine())
    print("\n| what | seconds | MiB more | a tenth of it: seconds | MiB more | is to be |")
    print("|---|--:|--:|--:|--:|---|")
    images = 6_000 // part
    row(
        f"text of a segment: {images:,} images of 0.8 kB with 500 kB of annotations, Pictograph",
        lambda size: cost_of(segment, "pictograph", size),
        images,
        "of flat memory",
    )
    images = 600 // part
    row(
        f"the same in COCO, {images:,} images",
        lambda size: cost_of(segment, "coco", size),
        images,
        "of flat memory",
    )
    files = 46_000 // part
    row(
        f"check of an archive of {files:,} small files",
        lambda size: cost_of(checking, size),
        files,
        "linear",
    )
    for is_filtered in (False, True):
        sets = 100_000 // part
        row(
            f"preview of {sets:,} images with as many sets of classes, SQLite"
            + (", half of the classes" if is_filtered else ""),
            lambda size, is_filtered=is_filtered: median(previews, size, is_filtered),  # type: ignore[misc]
            sets,
            "linear",
        )
    row(
        "100 images of 20 boxes, 1,203 classes with a filter of 600, COCO",
        lambda size: median(look_ups, size, size // 2),
        1_203,
        "equal",
    )
    row(
        "a polygon of 8,000 rings, YOLO",
        lambda size: cost_of(rendering, "yolo", rings(size), 800),
        8_000,
        "n log n",
    )
    cost = cost_of(rendering, "coco", zigzag(), 115)
    print(f"| a zigzag of {len(zigzag()) / 1000:.0f} kB, COCO | {columns_of(cost)} | | | |")
    if not quick:
        cost = imported(300)
        print(f"| import of 300 documents of 3 MiB, server | {columns_of(cost)} | | | |")


def median(job: Callable[..., Any], *arguments: Any) -> Cost:
    """The median of five."""
    found = [cost_of(job, *arguments) for _ in range(5)]
    return Cost(
        statistics.median(cost.seconds for cost in found),
        max(cost.memory for cost in found),
    )


def row(title: str, cost: Callable[[int], Cost], size: int, expectation: str) -> None:
    """Measures at a size and at a tenth of it."""
    whole, tenth = cost(size), cost(size // 10)
    print(
        f"| {title} | {columns_of(whole)} | {columns_of(tenth)} | {expectation} |",
        flush=True,
    )


def columns_of(cost: Cost) -> str:
    """Two columns of the table."""
    return f"{cost.seconds:.3f} | {cost.memory / MIB:.0f}"


if __name__ == "__main__":
    main()
