"""`cartouche import` against real servers: what it says, stores, refuses and survives."""

import asyncio
import hashlib
import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import psutil
import pytest
from PIL import Image

from services.catalog.limits import MAX_RINGS
from tests.datasets import Picture, bbox, jpeg, noise_jpeg, polygon, put, put_all, read, unique
from tests.exports import completed, download, read_json, refused, unzip
from tests.imports import Outcome, imported, outcome, run_import, words
from tests.stack import CARTOUCHE, Embedded, Production, Stack
from tests.unit.importing.dataset_files import write_json, write_text

T = TypeVar("T")

WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True)
class Source:
    """A dataset of four images on disk: two boxes, one box and a bad one, none, and no file."""

    format: str
    images: Path
    annotations: Path
    #: What is skipped, as the command names it.
    named: tuple[str, ...]

    def run(self, stack: Stack, dataset: str, *options: str | Path) -> Outcome:
        """Imports it."""
        return imported(stack, dataset, self.format, self.images, self.annotations, *options)


#: Left, top, width, height of the boxes of each image, and their class.
BOXES = {
    "a.jpg": [("car", (4, 5, 20, 10)), ("person", (8, 12, 16, 24))],
    "deep/b.jpg": [("car", (0, 0, 32, 24))],
    "deep/c.jpg": [],
}


def write_images(root: Path) -> Path:
    for number, name in enumerate([*BOXES, "d.jpg"]):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(WIDTH, HEIGHT, seed=number))
    return root


def write_coco(root: Path) -> Source:
    classes = ["car", "person"]
    ids = {name: number for number, name in enumerate(BOXES, 1)}
    rows = [
        {"image_id": ids[name], "category_id": classes.index(kind) + 1, "bbox": box}
        for name, boxes in BOXES.items()
        for kind, box in boxes
    ]
    rows.append({"image_id": ids["deep/b.jpg"], "category_id": 1, "bbox": [5, 5, 0, 3]})
    document = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for name, number in [*ids.items(), ("missing.jpg", 9)]
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(classes, 1)],
        "annotations": [{"id": number, **row} for number, row in enumerate(rows, 1)],
    }
    return Source(
        "coco",
        write_images(root / "images"),
        write_json(root / "coco.json", document),
        (
            "BOX_WITHOUT_AREA deep/b.jpg, annotation 4: bbox is [5, 5, 0, 3]; skipped",
            "IMAGE_FILE_MISSING missing.jpg: fits no image below {images}; "
            "skipped with 0 annotations",
            "IMAGE_NOT_LISTED d.jpg: the document has no such image; skipped",
        ),
    )


def write_voc(root: Path) -> Source:
    def thing(kind: str, x: float, y: float, w: float, h: float) -> str:
        corners = {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}
        box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in corners.items())
        return f"<object><name>{kind}</name><bndbox>{box}</bndbox></object>"

    things = {name: [thing(kind, *box) for kind, box in rows] for name, rows in BOXES.items()}
    things["deep/b.jpg"].append(thing("car", 5, 5, 0, 3))
    for name, rows in {**things, "missing.jpg": []}.items():
        write_text(
            root / "xml" / f"{name.removesuffix('.jpg')}.xml",
            f"<annotation><filename>{name}</filename>{''.join(rows)}</annotation>",
        )
    return Source(
        "pascal_voc",
        write_images(root / "images"),
        root / "xml",
        (
            "BOX_WITHOUT_AREA deep/b.jpg, object 2: xmin is 5, ymin 5, xmax 5, ymax 8; skipped",
            "IMAGE_FILE_MISSING missing.xml: fits no image below {images}; skipped with 0 objects",
            "NO_ANNOTATION_FILE d.jpg: has no XML file; taken without annotations",
        ),
    )


def write_yolo(root: Path) -> Source:
    def line(kind: str, x: float, y: float, w: float, h: float) -> str:
        center = f"{(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT}"
        return f"{('car', 'person').index(kind)} {center} {w / WIDTH} {h / HEIGHT}\n"

    lines = {name: [line(kind, *box) for kind, box in rows] for name, rows in BOXES.items()}
    lines["deep/b.jpg"].append("0 0.5 0.5 0 0.25\n")
    for name, rows in {**lines, "missing.jpg": []}.items():
        write_text(root / "labels" / f"{name.removesuffix('.jpg')}.txt", "".join(rows))
    write_text(root / "classes.txt", "car\nperson\n")
    return Source(
        "yolo",
        write_images(root / "images"),
        root / "labels",
        (
            "BOX_WITHOUT_AREA deep/b.txt, line 2: the box is 0 by 12 pixels; skipped",
            "IMAGE_FILE_MISSING missing.txt: fits no image below {images}; skipped with 0 lines",
        ),
    )


def write_pictograph(root: Path) -> Source:
    values = {name: [bbox(kind, *box) for kind, box in rows] for name, rows in BOXES.items()}
    values["deep/b.jpg"].append(bbox("car", 5, 5, 0, 3))
    for name, rows in {**values, "missing.jpg": []}.items():
        write_json(root / "json" / f"{name}.json", rows)
    return Source(
        "pictograph",
        write_images(root / "images"),
        root / "json",
        (
            "ANNOTATION_INVALID deep/b.jpg: "
            "annotations[1].bounding_box.w: must be above 0; skipped",
            "IMAGE_FILE_MISSING missing.jpg.json: fits no image below {images}; "
            "skipped with 0 annotations",
            "NO_ANNOTATION_FILE d.jpg: has no JSON file; taken without annotations",
        ),
    )


WRITERS = {
    "coco": write_coco,
    "pascal_voc": write_voc,
    "yolo": write_yolo,
    "pictograph": write_pictograph,
}


def stored_images(stack: Stack, dataset: str) -> dict[str, dict[str, Any]]:
    """What a dataset holds, by path: the files of a pictograph export."""
    files = unzip(download(stack, completed(stack, dataset, format="pictograph").id))
    names = [name for name in files.namelist() if name.startswith("annotations/")]
    found = [read_json(files, name) for name in names]
    return {value["image"]["path"]: value for value in found}


def boxes_of(value: dict[str, Any]) -> list[tuple[str, tuple[float, ...]]]:
    """The class and the box of every annotation."""
    return [
        (a["name"], tuple(a["bounding_box"][side] for side in "xywh")) for a in value["annotations"]
    ]


@pytest.mark.parametrize("format", WRITERS)
def test_images_arrive_and_skips_are_named(embedded: Embedded, tmp_path: Path, format: str) -> None:
    source, dataset = WRITERS[format](tmp_path), unique(format)
    # COCO alone lists its images.
    paths = set(BOXES) if format == "coco" else {*BOXES, "d.jpg"}
    first = source.run(embedded, dataset)
    assert first.results == {"created": len(paths)}
    assert first.summary["annotations created"] == 3
    assert sorted(first.named) == sorted(row.format(images=source.images) for row in source.named)

    stored = stored_images(embedded, dataset)
    assert stored.keys() == paths
    for path, value in stored.items():
        image = value["image"]
        assert (image["status"], image["split"]) == ("new", None)
        assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
        rows = boxes_of(value)
        assert [kind for kind, _ in rows] == [kind for kind, _ in BOXES.get(path, [])]
        for (_, box), (_, true_box) in zip(rows, BOXES.get(path, []), strict=True):
            assert box == pytest.approx(true_box, abs=1e-6)
    assert [item.name for item in read(embedded, dataset).classes] == ["car", "person"]

    again = source.run(embedded, dataset, "--status", "new")
    assert again.results == {"unchanged": len(paths)}
    assert sorted(again.named) == sorted(first.named)
    assert stored_images(embedded, dataset) == stored


class Meter:
    """Forwards TCP connections to a server, and counts the bytes that go there."""

    def __init__(self, target: int) -> None:
        self.sent = 0
        self._target = target
        self._connections: set[asyncio.Task[None]] = set()

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Its address, while it forwards; ends when the connections do."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        def run(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result(10)

        try:
            server = run(asyncio.start_server(self._forward, "127.0.0.1", 0))
            host, port = server.sockets[0].getsockname()
            yield f"{host}:{port}"
            run(self._end(server))
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._connections.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._copy(reader, back, True), self._copy(there, writer, False))

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: bool
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                self.sent += len(data) * counts
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _end(self, server: asyncio.Server) -> None:
        server.close()
        await asyncio.gather(*self._connections)


def test_bytes_travel_once(embedded: Embedded, tmp_path: Path) -> None:
    files = [tmp_path / "images" / f"{number}.jpg" for number in range(4)]
    (tmp_path / "images").mkdir()
    for number, file in enumerate(files):
        file.write_bytes(noise_jpeg(900 + number, side=512))
        write_json(tmp_path / "json" / f"{file.name}.json", [bbox("car")])
    size = sum(file.stat().st_size for file in files)
    first, second = unique("once"), unique("elsewhere")
    source = ("pictograph", tmp_path / "images", tmp_path / "json")
    sent = []
    for dataset, status in ((first, "new"), (first, "new"), (second, "review")):
        meter = Meter(embedded.grpc_port)
        with meter.listening() as address:
            done = imported(embedded, dataset, *source, "--status", status, "--server", address)
        sent.append((done.results, meter.sent))
    results, counts = zip(*sent, strict=True)
    assert results == ({"created": 4}, {"unchanged": 4}, {"created": 4})
    assert size <= counts[0] < 1.1 * size
    # Not even for another dataset of the organization.
    assert max(counts[1:]) < size / 50


def test_what_changed_is_updated_and_a_new_class_appended(
    embedded: Embedded, tmp_path: Path
) -> None:
    source, dataset = write_pictograph(tmp_path), unique("changed")
    put_all(embedded, dataset, [Picture("zero.jpg", jpeg(), [bbox("tree"), bbox("car")])])
    source.run(embedded, dataset, "--status", "review")
    before = stored_images(embedded, dataset)
    assert {before[path]["image"]["status"] for path in BOXES} == {"review"}
    assert [item.name for item in read(embedded, dataset).classes] == ["tree", "car", "person"]

    write_json(source.annotations / "deep/c.jpg.json", [bbox("lane"), bbox("car")])
    (source.images / "a.jpg").write_bytes(jpeg(WIDTH, HEIGHT, seed=99))
    done = source.run(embedded, dataset, "--status", "review")
    assert done.results == {"updated": 1, "replaced": 1, "unchanged": 2}
    assert [line for line in done.named if line.startswith("IMAGE_REPLACED a.jpg: ")]
    after = stored_images(embedded, dataset)
    assert {path for path in after if after[path] != before[path]} == {"a.jpg", "deep/c.jpg"}
    assert [kind for kind, _ in boxes_of(after["deep/c.jpg"])] == ["lane", "car"]
    names = [item.name for item in read(embedded, dataset).classes]
    assert names == ["tree", "car", "person", "lane"]


def test_an_annotation_beyond_the_limits_is_named(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset = write_pictograph(tmp_path), unique("large")
    rings = [[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]] * (MAX_RINGS + 1)
    write_json(source.annotations / "a.jpg.json", [bbox("car"), polygon("car", *rings)])
    done = run_import(embedded, dataset, source.format, source.images, source.annotations)
    (line,) = (line for line in done.named if line.startswith("ANNOTATION_TOO_LARGE a.jpg, "))
    assert "it has 10,001 rings; a polygon has at most 10,000; skipped" in line
    assert len(stored_images(embedded, dataset)["a.jpg"]["annotations"]) == 1


def test_an_image_that_cannot_be_read_is_named(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset = write_pictograph(tmp_path), unique("broken")
    (source.images / "a.jpg").write_bytes(b"no image")
    done = run_import(embedded, dataset, source.format, source.images, source.annotations)
    assert done.code == 3
    assert done.results == {"created": 3}
    assert done.passed_over == (2, 3)
    (line,) = [line for line in done.named if " a.jpg: " in line]
    assert line == "IMAGE_UNREADABLE a.jpg: is text; skipped with 2 annotations"
    assert done.summary["IMAGE_UNREADABLE"] == 1
    assert stored_images(embedded, dataset).keys() == {*BOXES, "d.jpg"} - {"a.jpg"}


OPTIONS = ("status", "split", "split-from", "prefix", "report")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"role": "viewer", "code": 1}, "role member or higher"),
        ({"key": "pk_live_" + "0" * 32, "code": 1}, "API key"),
        ({"key": ""}, "--api-key or CARTOUCHE_API_KEY"),
        ({"format": "voc"}, "use pictograph, coco, yolo, pascal_voc"),
        ({"images": "nowhere"}, "nowhere is no folder"),
        ({"status": "done"}, "use new, annotate, review, complete"),
        ({"split": "other"}, "use train, val, test"),
        ({"split": "val", "split-from": "lists"}, "not both"),
        ({"prefix": "a/../b"}, "is no folder"),
        ({"report": "nowhere/file"}, "cannot be written"),
        ({"format": "auto", "images": "json", "code": 1}, "holds no image"),
    ],
)
def test_refusals_are_one_line(
    embedded: Embedded, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    source, dataset = write_pictograph(tmp_path), unique("refused")
    done = run_import(
        embedded,
        dataset,
        change.get("format", source.format),
        tmp_path / change.get("images", "images"),
        source.annotations,
        *(("--api-key", change["key"]) if "key" in change else ()),
        *(word for name in OPTIONS if name in change for word in (f"--{name}", change[name])),
        role=change.get("role", "member"),
    )
    assert (done.code, done.summary) == (change.get("code", 2), {})
    (line,) = done.errors
    assert line.startswith("cartouche: ")
    assert said in line


def test_a_dry_run_says_what_an_import_says(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset = write_coco(tmp_path), unique("dry")
    report = tmp_path / "issues.jsonl"
    # Not even a key is needed.
    dry = source.run(embedded, dataset, "--dry-run", "--report", report, "--api-key", "")
    assert dry.results == {"to send": len(BOXES)}
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert [f"{row['reason']} {row['item']}: {row['message']}" for row in rows] == dry.named
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        read(embedded, dataset)

    wet = source.run(embedded, dataset)
    assert sorted(wet.named) == sorted(dry.named)
    assert wet.passed_over == dry.passed_over == (2, 1)
    for row in ("images", "annotations"):
        assert wet.summary[f"{row} created"] == dry.summary[f"{row} to send"]
    assert sum(row["images"] for row in rows) == 2
    assert sum(row["annotations"] for row in rows) == 1


def test_a_strict_import_is_whole_or_not_at_all(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset = write_coco(tmp_path), unique("strict")
    images = source.images, source.annotations
    stopped = run_import(embedded, dataset, "coco", *images, "--strict")
    assert (stopped.code, stopped.passed_over) == (1, (2, 1))
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        read(embedded, dataset)
    document = json.loads(source.annotations.read_text())
    (source.images / "d.jpg").unlink()
    document["images"].pop()
    document["annotations"].pop()
    write_json(source.annotations, document)
    done = source.run(embedded, dataset, "--strict")
    assert (done.code, done.results, done.named) == (0, {"created": len(BOXES)}, [])


def test_a_picture_that_breaks_off_is_left_out_or_taken(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset = write_pictograph(tmp_path), unique("cut")
    data = (source.images / "a.jpg").read_bytes()
    (source.images / "a.jpg").write_bytes(data[:-20])
    done = source.run(embedded, dataset)
    assert done.results == {"created": 3}
    said = "IMAGE_BREAKS_OFF a.jpg: breaks off inside its pixels"
    assert f"{said}; skipped with 2 annotations" in done.named
    done = source.run(embedded, dataset, "--on-broken", "take")
    assert done.results == {"created": 1, "unchanged": 3}
    assert f"{said}; taken" in done.named


def test_a_size_that_an_older_version_measured_is_corrected(
    embedded: Embedded, tmp_path: Path
) -> None:
    dataset, file = unique("measure"), tmp_path / "images" / "a.tif"
    file.parent.mkdir()
    picture, exif = Image.effect_noise((45, 10), 60), Image.Exif()
    exif[0x0112] = 6
    picture.save(file, exif=exif)
    write_json(tmp_path / "json" / "a.tif.json", [bbox("car", 1, 2, 3, 4)])
    source = Source("pictograph", tmp_path / "images", tmp_path / "json", ())
    assert source.run(embedded, dataset).results == {"created": 1}

    def size() -> tuple[int, int]:
        image = stored_images(embedded, dataset)["a.tif"]["image"]
        return image["width"], image["height"]

    assert size() == (10, 45)
    # As the version before this one left it.
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with closing(sqlite3.connect(embedded.folder / "home" / "cartouche.db", timeout=30)) as record:
        for table, more in (("images", ""), ("contents", ", measure = 0")):
            change = f"UPDATE {table} SET width = 45, height = 10{more} WHERE sha256 = ?"
            record.execute(change, (sha256,))
        record.commit()
    assert size() == (45, 10)
    done = source.run(embedded, dataset)
    assert done.results == {"updated": 1}
    (line,) = done.named
    assert line.startswith("SIZE_CORRECTED a.tif: was measured as 45 x 10 pixels")
    assert size() == (10, 45)
    assert source.run(embedded, dataset).results == {"unchanged": 1}


def test_a_prefix_keeps_two_sets_apart(embedded: Embedded, tmp_path: Path) -> None:
    dataset, results = unique("prefix"), []
    for number, name in enumerate(("train", "val", "val")):
        root = tmp_path / str(number)
        (root / "images").mkdir(parents=True)
        (root / "images" / "1.jpg").write_bytes(jpeg(seed=number))
        write_json(root / "json" / "1.jpg.json", [bbox("car", x=number)])
        source = Source("pictograph", root / "images", root / "json", ())
        done = source.run(embedded, dataset, "--prefix", f"{name}/", "--split", name)
        results.append(done.results)
    assert results == [{"created": 1}, {"created": 1}, {"replaced": 1}]
    assert done.named == [
        "IMAGE_REPLACED val/1.jpg: replaces another file of this name in the dataset"
    ]
    stored = stored_images(embedded, dataset)
    assert {path: (value["image"]["split"], boxes_of(value)) for path, value in stored.items()} == {
        "train/1.jpg": ("train", [("car", (0, 5, 20, 10))]),
        "val/1.jpg": ("val", [("car", (2, 5, 20, 10))]),
    }


@pytest.mark.parametrize("format", WRITERS)
def test_the_format_is_recognised(embedded: Embedded, tmp_path: Path, format: str) -> None:
    source = WRITERS[format](tmp_path)
    arguments = words(unique("auto"), "auto", source.images, source.annotations, "--dry-run")
    done = embedded.command(*arguments, check=False)
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith(f"taken for {format}: ")


def test_splits_come_from_beside_the_dataset(embedded: Embedded, tmp_path: Path) -> None:
    source, dataset, given = write_voc(tmp_path), unique("splits"), tmp_path / "lists"
    write_text(given / "train.txt", "a\n")
    write_text(given / "val.txt", "deep/b.jpg\ngone\n")
    # No split of its own.
    write_text(given / "trainval.txt", "a\ndeep/c\n")
    done = source.run(embedded, dataset, "--split-from", given)
    assert done.reasons["SPLIT_WITHOUT_IMAGE"] == 1
    stored = stored_images(embedded, dataset)
    splits = {path: value["image"]["split"] for path, value in stored.items()}
    assert splits == {"a.jpg": "train", "deep/b.jpg": "val", "deep/c.jpg": None, "d.jpg": None}


def test_an_import_outlives_the_server(production: Production, tmp_path: Path) -> None:
    count, dataset = 400, unique("killed")
    (tmp_path / "images").mkdir()
    for number in range(count):
        (tmp_path / "images" / f"{number:03}.jpg").write_bytes(jpeg(80, 60, seed=number))
        write_json(tmp_path / "json" / f"{number:03}.jpg.json", [bbox("car", x=number % 40)])
    source = ("pictograph", tmp_path / "images", tmp_path / "json")
    command = [str(CARTOUCHE), *words(dataset, *source)]
    env = production.env | {"CARTOUCHE_API_KEY": production.key("member")}
    put(production, dataset, ())
    client = psutil.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        halted = _halt_half_way(production, dataset, client)
        assert 0 < halted < count
        production.server.kill()
        client.resume()
        production.server.restart()
        done = outcome(0, *client.communicate(timeout=60))
        assert (client.returncode, done.errors) == (0, [])
    finally:
        if client.poll() is None:
            client.kill()
            client.wait()
    assert sum(done.results.values()) == count
    assert set(done.results) <= {"created", "unchanged"}
    stored = stored_images(production, dataset)
    assert len(stored) == count
    assert {path: boxes_of(value) for path, value in stored.items()} == {
        f"{number:03}.jpg": [("car", (number % 40, 5, 20, 10))] for number in range(count)
    }


def _halt_half_way(stack: Stack, dataset: str, client: psutil.Popen) -> int:
    """Stops the client (SIGSTOP) once the dataset has images; how many it has."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        # First: else the last image may go in between.
        client.suspend()
        if found := read(stack, dataset).image_count:
            return found
        client.resume()
        time.sleep(0.02)
    raise AssertionError("the import stored nothing")


def test_an_archive_comes_back_as_it_was(embedded: Embedded, tmp_path: Path) -> None:
    first, second = unique("origin"), unique("copy")
    hole = [(1, 1), (30, 1), (30, 30), (1, 30)], [(5, 5), (9, 5), (9, 9)]
    oriented = bbox("car") | {
        "oriented_box": {"cx": 14.0, "cy": 10.0, "w": 18.0, "h": 6.0, "angle": 20.5}
    }
    joint = {"name": "nose", "type": "keypoint", "keypoint": {"x": 3.5, "y": 4.25}}
    put_all(
        embedded,
        first,
        [
            Picture("a/CON.jpg", jpeg(seed=1), [bbox("car"), polygon("lane", *hole)], "review"),
            Picture("a/b.jpg", jpeg(seed=2), [oriented], "complete", "train"),
            Picture("a/B.jpg", jpeg(seed=3), [joint | {"instance_id": 1}], "annotate", "val"),
            Picture("e\u0301 ü?.jpg", jpeg(seed=4), [], "new", "test"),
        ],
    )
    before = export(embedded, first, tmp_path / "first")
    done = imported(
        embedded, second, "pictograph",
        tmp_path / "first" / "images", tmp_path / "first" / "annotations",
    )  # fmt: skip
    assert (done.results, done.named) == ({"created": 4}, [])
    after = export(embedded, second, tmp_path / "second")
    assert after == before
    assert len(before.images) == 4


@dataclass(frozen=True)
class Exported:
    """A pictograph archive without what belongs to one dataset: its ids and numbers."""

    classes: list[Any]
    #: By path in the dataset: its file of annotations, and the bytes of the image.
    images: dict[str, tuple[dict[str, Any], bytes]]


def export(stack: Stack, dataset: str, folder: Path) -> Exported:
    """A pictograph export with images, unpacked into a folder."""
    done = completed(stack, dataset, format="pictograph", include_images=True)
    archive = unzip(download(stack, done.id))
    archive.extractall(folder)
    images = {}
    for row in read_json(archive, "manifest.json")["files"]:
        (text,) = row["annotation_files"]
        value = read_json(archive, text)
        # The id, and the file's name, where the image's number had to make it unique.
        del value["image"]["id"], value["image"]["file"]
        images[row["path"]] = value, archive.read(row["file"])
    return Exported(read_json(archive, "dataset.json")["classes"], images)


def test_what_a_source_carries_goes_through_to_the_archives(
    embedded: Embedded, tmp_path: Path
) -> None:
    """Crowds, supercategories, and attributes that no class declares."""
    (tmp_path / "a.jpg").write_bytes(jpeg(WIDTH, HEIGHT))
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "categories": [{"id": 3, "name": "dog", "supercategory": "animal"}],
        "annotations": [
            {
                **{"id": 1, "image_id": 1, "category_id": 3, "iscrowd": 1, "bbox": [1, 0, 2, 5]},
                "segmentation": {"size": [HEIGHT, WIDTH], "counts": [48, 5, 43, 5, 2971]},
            },
            {"id": 2, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "track_id": 7},
        ],
    }
    name = unique("carried")
    source = write_json(tmp_path / "c.json", document)
    assert not imported(embedded, name, "coco", tmp_path, source).named

    files = unzip(download(embedded, completed(embedded, name, format="coco").id))
    found = read_json(files, "annotations/instances_default.json")
    assert found["categories"][0]["supercategory"] == "animal"
    assert [row["iscrowd"] for row in found["annotations"]] == [1, 0]
    assert [row["area"] for row in found["annotations"]] == [10, 12]
    assert [row["attributes"] for row in found["annotations"]] == [{}, {"track_id": 7}]

    done = completed(embedded, name, format="cvat")
    archive = unzip(download(embedded, done.id))
    codes = {
        row["code"]
        for rows in read_json(archive, "manifest.json")["losses"].values()
        for row in rows
    }
    # CVAT keeps what a class declares, and an import declares what it meets.
    assert codes == {"crowd.as_object", "class.supercategory"}
    assert b"<name>track_id</name>" in archive.read("annotations.xml")
