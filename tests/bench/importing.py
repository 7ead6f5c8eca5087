"""What comes in: an import of files on disk over gRPC, beside `rclone copy` of the same files to
the same store, and the same import once more.

An import also records what is imported, annotations included, of which each image has ten boxes;
rclone only stores the files. The client runs in this process, and so does the reading of the
annotations where a row says so.
"""

import itertools
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from minio import Minio

from services.database.engine import Database
from services.identity.keys import create_key, ensure_organization
from services.identity.roles import Role
from services.importing.client import import_dataset
from services.importing.dataset import ImportItem, read_dataset
from services.importing.file_hashes import RememberedHashes
from services.importing.summary import ImportSummary
from tests.bench.boxed import BOXES, CLASSES, boxed
from tests.bench.drawing import draw
from tests.bench.rows import Row, main
from tests.bench.subjects import servers
from tests.parts import ObjectStore, Rclone
from tests.processes import environment
from tests.stack import Production

#: As many as rclone is given.
TRANSFERS = 8


def rows(quick: bool) -> list[Row]:
    """Measures each in turns."""
    images, rounds = (400, 3) if quick else (2_000, 5)
    with ExitStack() as running:
        postgresql, broker, store = servers(running)
        stack = running.enter_context(
            Production(
                postgresql.create_database(), broker.url, store, name="bench-importing", workers=0
            )
        )
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-importing-")))
        subject = _Subject(stack, store, folder, images)
        running.callback(subject.close)
        taken: dict[str, list[float]] = {}
        for _ in range(rounds):
            for what, seconds in subject.round():
                taken.setdefault(what, []).append(seconds)
    return _rows(taken, images, rounds)


def _rows(taken: dict[str, list[float]], images: int, rounds: int) -> list[Row]:
    medians = {what: statistics.median(found) for what, found in taken.items()}

    def of_peer(what: str) -> float:
        """Of neighbours in time."""
        return statistics.median(
            mine / peer for mine, peer in zip(taken[what], taken["copy"], strict=True)
        )

    def speed(what: str) -> str:
        return f"{images / medians[what]:,.0f} images/s"

    first, whole, again = of_peer("first"), of_peer("whole"), images / medians["again"]
    size = f"{images:,} x 98 KB"
    return [
        Row(
            f"rclone copy --transfers {TRANSFERS}, {size}, median of {rounds}",
            f"{medians['copy']:.2f} s, {speed('copy')}",
        ),
        Row(
            f"import over gRPC, {size}, {BOXES} boxes each",
            f"{first:.2f} of rclone ({medians['first']:.2f} s, {speed('first')})",
            "<= 1.30 of rclone",
            first <= 1.3,
        ),
        Row(
            "the same, out of a COCO document, with a look at every file first",
            f"{whole:.2f} of rclone ({medians['whole']:.2f} s, {speed('whole')})",
        ),
        Row("import again, nothing changed", speed("again"), ">= 15,000 images/s", again >= 15_000),
        Row("the same, every file read again", speed("again, read")),
        Row("the same, out of a COCO document", speed("again, whole")),
        Row("import of stored bytes into another dataset", speed("by hash")),
    ]


class _Subject:
    """A Cartouche without images, the files, and a bucket for rclone."""

    def __init__(self, stack: Production, store: ObjectStore, folder: Path, count: int) -> None:
        self._stack = stack
        self._database = Database(stack.env["CARTOUCHE_DATABASE_URL"], 1)
        self._folder = folder
        self._count = count
        self._round = 0
        self._classes = CLASSES
        self._images = folder / "images"
        self._images.mkdir()
        draw(self._images, count)
        self._names = sorted(file.name for file in self._images.iterdir())
        self._document = folder / "instances.json"
        self._document.write_text(json.dumps(_coco(self._names)))
        # Files that were written a moment ago are not remembered.
        time.sleep(3.5)
        address = store.endpoint.removeprefix("http://")
        keys = store.credentials
        Minio(address, keys.access_key, keys.secret_key, secure=False).make_bucket("rclone")
        self._rclone = environment(
            RCLONE_CONFIG_STORE_TYPE="s3",
            RCLONE_CONFIG_STORE_PROVIDER="Minio",
            RCLONE_CONFIG_STORE_ENDPOINT=store.endpoint,
            RCLONE_CONFIG_STORE_ACCESS_KEY_ID=keys.access_key,
            RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY=keys.secret_key,
            RCLONE_CONFIG="/dev/null",
        )

    def close(self) -> None:
        """Closes the connection of the record."""
        self._database.close()

    def round(self) -> Iterator[tuple[str, float]]:
        """Every figure once, in seconds, for organizations that have nothing yet."""
        self._round += 1
        one, two = (self._key(f"round {self._round} {letter}") for letter in "ab")
        items = list(self._items())
        memory = self._folder / f"memory-{self._round}"
        yield "copy", _seconds(self._copy)
        yield "first", _seconds(lambda: self._import(one, "images", items, memory))
        yield "by hash", _seconds(lambda: self._import(one, "more", items, memory))
        for _ in range(2):
            # What the record has gathered of so much that is new is of no concern here.
            self._import(one, "images", items, memory)
        yield "again", _seconds(lambda: self._import(one, "images", items, memory))
        yield "again, read", _seconds(lambda: self._import(one, "images", items, None))
        yield "whole", _seconds(lambda: self._whole(two, memory))
        yield "again, whole", _seconds(lambda: self._whole(two, memory))

    def _key(self, organization: str) -> str:
        """Of an organization that is new."""
        made = ensure_organization(self._database, organization)
        return create_key(self._database, made, Role.member)

    def _copy(self) -> None:
        place = f"store:rclone/{self._round}"
        words = ["copy", "--transfers", str(TRANSFERS), str(self._images), place]
        subprocess.run([Rclone.program_path(), *words], env=self._rclone, check=True)

    def _items(self) -> Iterator[ImportItem]:
        for number, name in enumerate(self._names):
            yield boxed(name, self._images / name, number)

    def _import(self, key: str, dataset: str, items: list[ImportItem], memory: Path | None) -> None:
        endpoint, classes = self._stack.endpoint, self._classes
        if memory is None:
            summary = import_dataset(endpoint, key, dataset, items, classes)
        else:
            with RememberedHashes(memory) as hashes:
                summary = import_dataset(endpoint, key, dataset, items, classes, hashes=hashes)
        self._check(summary)

    def _whole(self, key: str, memory: Path) -> None:
        source = read_dataset("coco", self._images, self._document)
        with RememberedHashes(memory) as hashes:
            self._check(
                import_dataset(
                    self._stack.endpoint,
                    key,
                    "whole",
                    source.items(),
                    source.classes,
                    hashes=hashes,
                )
            )

    def _check(self, summary: ImportSummary) -> None:
        taken = summary.created.images + summary.unchanged.images
        assert taken == self._count, summary


def _coco(names: list[str]) -> dict[str, object]:
    numbers = itertools.count(1)
    return {
        "images": [
            {"id": number, "file_name": name, "width": 182, "height": 182}
            for number, name in enumerate(names, 1)
        ],
        "categories": [{"id": n + 1, "name": f"class {n}"} for n in range(BOXES)],
        "annotations": [
            {
                "id": next(numbers),
                "image_id": image,
                "category_id": n + 1,
                "bbox": [n, 2 * n, 20.5, 10.25],
            }
            for image in range(1, len(names) + 1)
            for n in range(BOXES)
        ],
    }


def _seconds(job: Callable[[], None]) -> float:
    began_at = time.perf_counter()
    job()
    return time.perf_counter() - began_at


if __name__ == "__main__":
    main("importing", __doc__, rows)
