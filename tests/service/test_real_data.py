"""Real datasets go in by the command and come out as archives: nothing is lost, moved or added.

What an archive must hold is read here from the datasets' own files, and never by the importers.
"""

import csv
import hashlib
import json
import math
import shutil
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from tests.datasets import unique
from tests.exports import completed, download, read_json, unzip
from tests.imports import imported
from tests.stack import Embedded, Stack
from tests.unit.importing.dataset_files import shared, write_json

# pycocotools on NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

#: Pixels.
EXACT = 1e-6
INSTANCES = "annotations/instances_default.json"
POSES = "annotations/person_keypoints_default.json"

#: A class and the left, top, width and height of a box.
Box: TypeAlias = tuple[str, Sequence[float]]
Ring: TypeAlias = list[list[float]]


@dataclass(frozen=True)
class Archive:
    """A finished export, once its counts are checked."""

    export: pb.Export
    files: zipfile.ZipFile
    manifest: dict[str, Any]

    @property
    def coco(self) -> "Coco":
        """Its instances."""
        return Coco.read(self.files, INSTANCES)


@dataclass(frozen=True)
class Coco:
    """A COCO document by file name."""

    document: dict[str, Any]
    categories: dict[int, str]
    #: Every image, also those without any row.
    rows: dict[str, list[dict[str, Any]]]

    @classmethod
    def read(cls, files: zipfile.ZipFile, name: str) -> "Coco":
        document = read_json(files, name)
        names = {image["id"]: image["file_name"] for image in document["images"]}
        assert len(set(names.values())) == len(names) == len(document["images"])
        ids = [row["id"] for row in document["annotations"]]
        assert len(set(ids)) == len(ids), "readers keep one row of each id"
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
        for row in document["annotations"]:
            rows[names[row["image_id"]]].append(row)
        categories = {row["id"]: row["name"] for row in document["categories"]}
        assert list(categories) == list(range(1, len(categories) + 1))
        return cls(document, categories, rows)

    def boxes(self) -> dict[str, list[Box]]:
        """The boxes of every image, in order."""
        return {
            name: [(self.categories[row["category_id"]], row["bbox"]) for row in rows]
            for name, rows in self.rows.items()
        }


def export(stack: Stack, dataset: str, **fields: Any) -> Archive:
    done = completed(stack, dataset, **fields)
    files = unzip(download(stack, done.id))
    manifest = read_json(files, "manifest.json")
    assert done.image_count == manifest["image_count"] == len(manifest["files"])
    assert done.annotation_count == manifest["annotation_count"]
    return Archive(done, files, manifest)


def check_same_boxes(found: Mapping[str, list[Box]], expected: Mapping[str, list[Box]]) -> None:
    """The same images with the same boxes of the same classes, in the same order."""
    assert found.keys() == expected.keys()
    for name, boxes in expected.items():
        assert [kind for kind, _ in found[name]] == [kind for kind, _ in boxes]
        for (_, one), (_, other) in zip(found[name], boxes, strict=True):
            assert one == pytest.approx(other, abs=EXACT)


def check_bytes(archive: Archive, root: Path) -> None:
    """Every image file of the archive has the bytes of the source's file, and all are there."""
    listed = {row["path"]: row for row in archive.manifest["files"]}
    for path, row in listed.items():
        data = (root / path).read_bytes()
        assert archive.files.read(row["file"]) == data
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
    stored = [name for name in archive.files.namelist() if "images/" in name]
    assert sorted(stored) == sorted(row["file"] for row in listed.values())


# BCCD: boxes of blood cells, two of them without an area.


@cache
def bccd_boxes() -> dict[str, list[Box]]:
    """All 4,888 boxes by image."""
    boxes: dict[str, list[Box]] = {}
    for file in sorted((shared("bccd") / "Annotations").glob("*.xml")):
        boxes[f"{file.stem}.jpg"] = []
        for thing in ElementTree.parse(file).iterfind("object"):
            x0, y0, x1, y1 = (
                float(thing.findtext(f"bndbox/{corner}") or "")
                for corner in ("xmin", "ymin", "xmax", "ymax")
            )
            box = (x0, y0, x1 - x0, y1 - y0)
            boxes[f"{file.stem}.jpg"].append((thing.findtext("name") or "", box))
    assert sum(map(len, boxes.values())) == 4888
    return boxes


def bccd_split(split: str) -> set[str]:
    """The images of a split."""
    file = shared("bccd") / "ImageSets" / "Main" / f"{split}.txt"
    return {f"{stem}.jpg" for stem in file.read_text().split()}


def with_area(boxes: Mapping[str, list[Box]]) -> dict[str, list[Box]]:
    return {name: [row for row in rows if min(row[1][2:]) > 0] for name, rows in boxes.items()}


def of_class(boxes: Mapping[str, list[Box]], *classes: str) -> dict[str, list[Box]]:
    """Only these classes, and only images that have one of them."""
    kept = {name: [row for row in rows if row[0] in classes] for name, rows in boxes.items()}
    return {name: rows for name, rows in kept.items() if rows}


@pytest.fixture(scope="session")
def bccd(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """BCCD as a dataset with its splits; the images of the split test are `complete`."""
    root, name = shared("bccd"), unique("bccd")
    source = ("pascal_voc", root / "JPEGImages", root / "Annotations")
    first = imported(stack, name, *source, "--split-from", root / "ImageSets" / "Main")
    assert first.results == {"created": 364}
    assert first.summary["annotations created"] == 4886
    skipped = [
        f"{image}, object {number}"
        for image, rows in bccd_boxes().items()
        for number, (_, box) in enumerate(rows, 1)
        if min(box[2:]) <= 0
    ]
    assert len(skipped) == 2
    assert first.reasons == {"BOX_WITHOUT_AREA": 2}
    assert [line.split(" ", 1)[1].split(":")[0] for line in first.named] == skipped

    folder = tmp_path_factory.mktemp("bccd-test")
    for image in bccd_split("test"):
        shutil.copy(root / "JPEGImages" / image, folder)
    with (folder / "splits.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "split"), *((i, "test") for i in bccd_split("test"))])
    (folder / "xml").mkdir()
    for image in bccd_split("test"):
        shutil.copy((root / "Annotations" / image).with_suffix(".xml"), folder / "xml")
    second = imported(
        stack, name, "pascal_voc", folder, folder / "xml",
        "--status", "complete", "--split-from", folder / "splits.csv",
    )  # fmt: skip
    assert second.results == {"updated": 72}
    return name


def test_bccd_comes_out_as_it_is(stack: Stack, bccd: str) -> None:
    archive = export(stack, bccd, format="coco", include_images=True)
    assert (archive.export.image_count, archive.export.annotation_count) == (364, 4886)
    check_same_boxes(archive.coco.boxes(), with_area(bccd_boxes()))
    check_bytes(archive, shared("bccd") / "JPEGImages")
    for row in archive.coco.document["annotations"]:
        assert (row["iscrowd"], row["segmentation"]) == (0, [])
        assert row["area"] == pytest.approx(row["bbox"][2] * row["bbox"][3])
    assert "clamped" not in archive.manifest["losses"]
    assert "dropped" not in archive.manifest["losses"]


def test_bccd_by_class_and_status(stack: Stack, bccd: str) -> None:
    everything = with_area(bccd_boxes())
    platelets = of_class(everything, "Platelets")
    assert 0 < len(platelets) < 364
    found = export(stack, bccd, format="coco", class_filter=["Platelets"])
    check_same_boxes(found.coco.boxes(), platelets)
    assert found.coco.categories == {1: "Platelets"}
    assert not [name for name in found.files.namelist() if name.startswith("images/")]

    complete = {name: rows for name, rows in everything.items() if name in bccd_split("test")}
    found = export(stack, bccd, format="coco", status_filter="complete", include_images=True)
    check_same_boxes(found.coco.boxes(), complete)
    check_bytes(found, shared("bccd") / "JPEGImages")

    both = {"class_filter": ["WBC", "Platelets"], "status_filter": "new"}
    new = {name: rows for name, rows in everything.items() if name not in complete}
    found = export(stack, bccd, format="coco", **both)
    check_same_boxes(found.coco.boxes(), of_class(new, "WBC", "Platelets"))

    found = export(stack, bccd, format="coco", include_unannotated=True, **both)
    kept = of_class(new, "WBC", "Platelets")
    assert len(kept) < len(new)
    check_same_boxes(found.coco.boxes(), {name: kept.get(name, []) for name in new})


def test_bccd_by_split(stack: Stack, bccd: str) -> None:
    archive = export(stack, bccd, format="coco", include_images=True, organize_by_split=True)
    everything = with_area(bccd_boxes())
    total = 0
    for split, folder in (("train", "train"), ("val", "valid"), ("test", "test")):
        images = bccd_split(split)
        document = Coco.read(archive.files, f"{folder}/annotations/instances_{folder}.json")
        check_same_boxes(document.boxes(), {name: everything[name] for name in images})
        assert {f"{folder}/images/{name}" for name in images} <= set(archive.files.namelist())
        total += len(images)
    assert total == 364
    check_bytes(archive, shared("bccd") / "JPEGImages")


# COCO photos: polygons with holes and in parts.


@dataclass(frozen=True)
class Segment:
    """A thing on an image: its rings nest even-odd."""

    label: str
    rings: tuple[Ring, ...]
    has_hole: bool

    def raster(self, width: int, height: int) -> NDArray[np.uint8]:
        """The pixels that are inside an odd number of rings, by pycocotools."""
        flat = [[float(value) for point in ring for value in point] for ring in self.rings]
        encoded = coco_mask.frPyObjects(flat, height, width)
        pixels: NDArray[np.uint8] = np.bitwise_xor.reduce(coco_mask.decode(encoded), axis=2)
        return pixels


@cache
def segments() -> dict[str, list[Segment]]:
    """The 369 segments by the path of their image; each polygon's exterior before its holes."""
    rows = json.loads((shared("coco_cc") / "polygons_with_holes.json").read_text())
    found: dict[str, list[Segment]] = {}
    for row in rows:
        rings = [ring for part in row["polygons"] for ring in (part["exterior"], *part["holes"])]
        segment = Segment(row["label"], tuple(rings), any(p["holes"] for p in row["polygons"]))
        found.setdefault(row["image"].removeprefix("images/"), []).append(segment)
    everything = [segment for part in found.values() for segment in part]
    assert (len(everything), sum(s.has_hole for s in everything)) == (369, 38)
    return found


STATUSES = {"train2017": "complete", "val2017": "review"}


@pytest.fixture(scope="session")
def photos(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The photos with their segments in the Pictograph form; one photo has none."""
    root, name = shared("coco_cc"), unique("photos")
    folder = tmp_path_factory.mktemp("photos")
    for path, rows in segments().items():
        annotations = [
            {
                "name": row.label,
                "type": "polygon",
                "polygon": {"paths": [[{"x": x, "y": y} for x, y in ring] for ring in row.rings]},
            }
            for row in rows
        ]
        image = {"path": path, "status": STATUSES[path.split("/")[0]]}
        write_json(folder / f"{path}.json", {"image": image, "annotations": annotations})
    done = imported(embedded, name, "pictograph", root / "images", folder)
    assert done.results == {"created": 53}
    assert done.summary["annotations created"] == 369
    assert done.reasons == {"NO_ANNOTATION_FILE": 1}
    return name


def check_same_segments(archive: Archive, expected: Mapping[str, list[Segment]]) -> Counter[str]:
    """Rings where COCO can mean them, pixels where it cannot; counts both."""
    coco = archive.coco
    sizes = {row["file_name"]: (row["width"], row["height"]) for row in coco.document["images"]}
    assert coco.rows.keys() == expected.keys()
    kinds: Counter[str] = Counter()
    for path, rows in coco.rows.items():
        for row, segment in zip(rows, expected[path], strict=True):
            assert coco.categories[row["category_id"]] == segment.label
            assert row["iscrowd"] == 0
            xs, ys = zip(*(point for ring in segment.rings for point in ring), strict=True)
            box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
            assert row["bbox"] == pytest.approx(box, abs=EXACT)
            pixels = segment.raster(*sizes[path])
            if isinstance(row["segmentation"], dict):
                kinds["mask"] += 1
                assert np.array_equal(coco_mask.decode(row["segmentation"]), pixels)
                assert row["area"] == pixels.sum()
            else:
                kinds["rings"] += 1
                assert not segment.has_hole, "a list of rings would fill its holes"
                for ring, found in zip(segment.rings, row["segmentation"], strict=True):
                    assert found == pytest.approx([v for point in ring for v in point], abs=EXACT)
                encoded = coco_mask.frPyObjects(row["segmentation"], *sizes[path][::-1])
                assert np.array_equal(coco_mask.decode(coco_mask.merge(encoded)), pixels)
    return kinds


def test_holes_and_parts_keep_their_pixels(embedded: Embedded, photos: str) -> None:
    archive = export(embedded, photos, format="coco", include_images=True)
    assert (archive.export.image_count, archive.export.annotation_count) == (53, 369)
    check_bytes(archive, shared("coco_cc") / "images")
    (bare,) = {row["path"] for row in archive.manifest["files"]} - segments().keys()
    kinds = check_same_segments(archive, {**segments(), bare: []})
    # Parts without holes stay rings.
    assert kinds == {"mask": 38, "rings": 331}
    (loss,) = archive.manifest["losses"]["degraded"]
    assert loss["count"] == 38


def test_holes_by_class_and_status(embedded: Embedded, photos: str) -> None:
    wanted = {
        path: [row for row in rows if row.label in ("person", "potted plant")]
        for path, rows in segments().items()
        if STATUSES[path.split("/")[0]] == "complete"
    }
    wanted = {path: rows for path, rows in wanted.items() if rows}
    assert any(row.has_hole for rows in wanted.values() for row in rows)
    archive = export(
        embedded, photos, format="coco",
        class_filter=["person", "potted plant"], status_filter="complete",
    )  # fmt: skip
    check_same_segments(archive, wanted)
    assert set(archive.coco.categories.values()) == {"person", "potted plant"}


def test_rings_stay_in_the_pictograph_form(embedded: Embedded, photos: str) -> None:
    archive = export(embedded, photos, format="pictograph")
    for path, rows in segments().items():
        found = read_json(archive.files, f"annotations/{path}.json")["annotations"]
        assert [annotation["name"] for annotation in found] == [row.label for row in rows]
        for annotation, row in zip(found, rows, strict=True):
            paths = annotation["polygon"]["paths"]
            assert [[[p["x"], p["y"]] for p in path] for path in paths] == list(row.rings)


# Keypoints.


@pytest.mark.parametrize(
    ("folder", "file"),
    [
        ("coco_person", "test_coco.json"),
        ("fly", "test_fly.json"),
        ("locust", "test_locust.json"),
        ("zebra", "test_zebra.json"),
    ],
)
def test_joints_come_out_as_they_are(embedded: Embedded, folder: str, file: str) -> None:
    root, name = shared("keypoints") / folder, unique(folder)
    source = json.loads((root / file).read_text())
    done = imported(embedded, name, "coco", root, root / file)
    assert done.results == {"created": len(source["images"])}
    assert set(done.reasons) <= {"SHAPE_OF_POSE", "FIELD_LEFT_OUT"}
    files = {image["id"]: image["file_name"] for image in source["images"]}
    expected: dict[str, list[dict[str, Any]]] = {name: [] for name in files.values()}
    for row in source["annotations"]:
        expected[files[row["image_id"]]].append(row)

    archive = export(embedded, name, format="coco", include_images=True)
    assert archive.export.annotation_count == len(source["annotations"])
    check_bytes(archive, root)
    poses = Coco.read(archive.files, POSES)
    (category,) = poses.document["categories"]
    (given,) = source["categories"]
    for key in ("name", "keypoints", "skeleton"):
        assert category[key] == given[key]
    assert poses.document["annotations"] == archive.coco.document["annotations"]
    assert poses.rows.keys() == expected.keys()
    for path, rows in expected.items():
        for found, row in zip(poses.rows[path], rows, strict=True):
            assert found["category_id"] == category["id"]
            assert found["keypoints"] == pytest.approx(row["keypoints"], abs=EXACT)
            assert found["num_keypoints"] == sum(v > 0 for v in row["keypoints"][2::3])


# HIT-UAV: oriented boxes.


def test_oriented_boxes_come_out_as_they_are(embedded: Embedded) -> None:
    root, name = shared("hituav"), unique("hituav")
    done = imported(embedded, name, "pascal_voc", root / "images", root / "rotate_xml")
    assert (done.results, done.summary["annotations created"]) == ({"created": 96}, 734)
    assert done.named == []

    document = json.loads((root / "rotate_val_subset.json").read_text())
    kinds = {row["id"]: row["name"] for row in document["categories"]}
    files = {row["id"]: row["filename"] for row in document["images"]}
    archive = export(embedded, name, format="pictograph", include_images=True)
    assert (archive.export.image_count, archive.export.annotation_count) == (96, 734)
    check_bytes(archive, root / "images")
    found: dict[str, list[dict[str, Any]]] = {
        path: read_json(archive.files, f"annotations/{path}.json")["annotations"]
        for path in files.values()
    }
    # The dataset's own JSON, which the import did not read, has the same boxes.
    expected: dict[str, list[tuple[str, tuple[float, ...]]]] = {path: [] for path in files.values()}
    for row in document["annotations"]:
        *sides, angle = row["bbox"]
        box = (*sides, math.degrees(angle) % 360)
        expected[files[row["image_id"]]].append((kinds[row["category_id"]], box))
    assert sum(map(len, expected.values())) == 734
    for path, rows in expected.items():
        written = sorted(
            (a["name"], tuple(a["oriented_box"][key] for key in ("cx", "cy", "w", "h", "angle")))
            for a in found[path]
        )
        for (kind, box), (true_kind, true_box) in zip(written, sorted(rows), strict=True):
            assert kind == true_kind
            assert box == pytest.approx(true_box, abs=EXACT)


# Hard file names.


def test_every_odd_name_comes_out_safe_and_can_be_undone(
    embedded: Embedded, tmp_path: Path
) -> None:
    # The boxes are those of BCCD, beside which the archive lies.
    with tarfile.open(shared("bccd").parent / "odd_names.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    root, name = tmp_path / "odd_names", unique("odd")
    rows = json.loads((root / "names.json").read_text())
    origins = {row["file_name"]: row["origin"] for row in rows}
    assert len(origins) == 24
    # The annotation file of an image has its stem.
    (root / "Annotations").mkdir()
    for path, origin in origins.items():
        stem = path.rsplit(".", 1)[0]
        shutil.copy((root / origin).with_suffix(".xml"), root / "Annotations" / f"{stem}.xml")
    done = imported(embedded, name, "pascal_voc", root / "images", root / "Annotations")
    assert (done.results, done.named) == ({"created": 24}, [])

    true_boxes = with_area(bccd_boxes())
    for format in ("coco", "pictograph"):
        archive = export(embedded, name, format=format, include_images=True)
        # Back to the names of the source, with its bytes, by the manifest alone.
        check_bytes(archive, root / "images")
        listed = {row["path"]: row["file"].removeprefix("images/") for row in
                  archive.manifest["files"]}  # fmt: skip
        assert listed.keys() == origins.keys()
        stems = [name.rsplit(".", 1)[0] for name in listed.values()]
        keys = {unicodedata.normalize("NFC", stem.casefold()) for stem in stems}
        assert len(keys) == 24
        for stored in listed.values():
            assert unicodedata.is_normalized("NFC", stored)
            assert stored.isprintable()
            assert not set(stored) & set('<>:"|?*\\')
            assert not stored.startswith((".", " ", "/"))
            assert not PurePosixPath(stored).stem.endswith((".", " "))
            assert PurePosixPath(stored).stem.upper() != "CON"
            assert len(PurePosixPath(stored).name.encode()) <= 200
        renamed = {path for path, stored in listed.items() if stored != path}
        # Nothing but what had to: upper.jpg and UPPER.JPG differ in case alone.
        assert renamed - {"upper.jpg", "UPPER.JPG"} == {
            ".hidden.jpg",
            "CON.jpg",
            "back\\slash.jpg",
            "e\u0301-NFD-cafe\u0301.jpg",
            "hash#frag?query=1&x=y.jpg",
            'it\'s "quoted".jpg',
            "tab\tname.jpg",
            "trailing space .jpg",
            "zero\u200bwidth\u202ertl.jpg",
        }
        assert len(renamed) == 10
        losses = archive.manifest["losses"]["renamed"]
        assert sum(loss["count"] for loss in losses) == len(renamed)
        if format == "coco":
            expected = {listed[path]: true_boxes[origin] for path, origin in origins.items()}
            check_same_boxes(archive.coco.boxes(), expected)
        else:
            for path, stored in listed.items():
                block = read_json(archive.files, f"annotations/{stored}.json")["image"]
                assert block["path"] == path
