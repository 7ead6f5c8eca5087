"""The datasets that oracles read: one made here, one of images that fill segments, and one of
the real data beside the project, where that is there."""

import json
import math
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image, ImageOps

from services.catalog.model import ClassAttribute, DatasetClass, Skeleton, SkeletonNode
from tests.datasets import Annotation, Picture, bbox, jpeg, noise_jpeg, polygon, polyline
from tests.oracles.model import SourceImage

SHARED = Path(__file__).parents[3] / "shared" / "data"
#: Each is as long as a part of the store has to be, and so a segment of its own.
SEGMENT_COUNT = 20
_SEGMENT_SIDE = 2_480

_JOINTS = ("left_eye", "right_eye", "nose", "tail")
_SKELETON = Skeleton(
    tuple(SkeletonNode(name, x / 4, 0.5) for x, name in enumerate(_JOINTS)), ((0, 2), (1, 2))
)
#: Classes of every type; one has a name that formats must escape.
CLASSES = (
    DatasetClass("car", "bbox", "#ff0000", (ClassAttribute("wet", "checkbox"),)),
    DatasetClass("Gebäude <建物> & co", "polygon", "#00ff00"),
    DatasetClass("lane", "polyline"),
    DatasetClass("cat", "keypoint", skeleton=_SKELETON),
    *(DatasetClass(name, "keypoint") for name in _JOINTS),
    DatasetClass("landmark", "keypoint"),
    DatasetClass("small vehicle", "bbox"),
)
#: What the archive with a class filter takes.
FILTER = ("small vehicle", "Gebäude <建物> & co")


@dataclass(frozen=True)
class Material:
    """A dataset as it is put."""

    name: str
    pictures: tuple[Picture, ...]
    classes: tuple[DatasetClass, ...] = ()

    @cached_property
    def source(self) -> list[SourceImage]:
        """The same as oracles take it."""
        return list(map(_source, self.pictures))


def made() -> Material:
    """Two dozen small images with every shape, in folders, of every split."""
    return Material("made", tuple(map(_made, range(24))), CLASSES)


def folders_like_splits() -> Material:
    """The same images in folders that are named like splits, and like what those become."""
    names = ("train", "val", "valid", "test", "default", "train_", "Default")
    pictures = [
        replace(picture, path=f"{names[number % len(names)]}/{number % 5}/{number // 7}.jpg")
        for number, picture in enumerate(made().pictures)
    ]
    return Material("folders", tuple(pictures), CLASSES)


def wide() -> Material:
    """An image so large that labels need more digits for the same part of a pixel."""
    shapes = [
        bbox("small vehicle", 5432.123, 1234.567, 77.77, 33.33),
        _turned("small vehicle", 4000.25, 2000.5, 300.125, 44.4, 33),
        polygon("Gebäude <建物> & co", [(7001.15, 11.25), (7990.3, 99.9), (7500.05, 2999.7)]),
    ]
    return Material("wide", (Picture("wide.jpg", jpeg(8000, 3000), shapes),), CLASSES)


#: Pixels that rectangles of `edges` reach over the edge at least.
OVER = 10.0


def edges() -> Material:
    """Polygons in the corners of their image, whose smallest rectangles reach over its edge."""
    shape = [(1, 30.25), (30.25, 1), (60.5, 1), (1, 60.5)]
    mirrored = [(320 - x, 240 - y) for x, y in shape]
    pictures = [
        Picture(f"{name}.jpg", jpeg(320, 240, seed=8), [polygon("Gebäude <建物> & co", ring)])
        for name, ring in (("top left", shape), ("bottom right", mirrored))
    ]
    return Material("edges", tuple(pictures), CLASSES)


def boxed() -> Material:
    """Outlines with boxes of their own, which are not those around them."""
    name, ring = "Gebäude <建物> & co", [(40.5, 50.25), (90.0, 52.5), (70.25, 99.0)]
    boxes = [(30.25, 40.5, 80, 70.125), (41, 51, 20, 20)]
    shapes = [
        polygon(name, ring) | {"bounding_box": dict(zip("xywh", box, strict=True))} for box in boxes
    ]
    return Material("boxed", (Picture("boxed.jpg", jpeg(320, 240), shapes),), CLASSES)


def long() -> Material:
    """Images of noise that fill a segment each."""
    pictures = [
        Picture(f"{n:02}.jpg", noise_jpeg(n, _SEGMENT_SIDE), _shapes(n))
        for n in range(SEGMENT_COUNT)
    ]
    return Material("long", tuple(pictures), CLASSES)


def real() -> Material:
    """Boxes, polygons with holes, oriented boxes, keypoints and odd names."""
    pictures = [*_bccd(), *_coco_cc(), *_hituav(), *_odd_names()]
    classes: list[DatasetClass] = []
    for folder in (
        "coco_person/test_coco",
        "fly/test_fly",
        "locust/test_locust",
        "zebra/test_zebra",
    ):
        template, found = _keypoints(SHARED / "keypoints" / f"{folder}.json")
        classes.append(template)
        pictures += found
    return Material("real", tuple(pictures), tuple(classes))


def _source(picture: Picture) -> SourceImage:
    with Image.open(BytesIO(picture.data)) as image:
        width, height = ImageOps.exif_transpose(image).size
    assert not isinstance(picture.annotations, bytes)
    return SourceImage(
        picture.path, width, height, picture.split or None, list(picture.annotations)
    )


def _made(number: int) -> Picture:
    folder = ("", "day/", "día <2>/")[number % 3]
    return Picture(
        f"{folder}{number:02} & co.jpg",
        # Every fifth lies on its side, and says so.
        jpeg(320, 240, seed=number, orientation=6 if number % 5 == 1 else 0),
        # Some images have no annotations.
        _shapes(number) if number % 4 != 3 else [],
        split=("train", "val", "test", "")[number // 2 % 4],
    )


def _shapes(number: int) -> list[Annotation]:
    """Every shape, moved by a part of a pixel from image to image, on 240 by 240 pixels."""
    d = number * 0.37
    square = [(20 + d, 30.5), (80.25, 31 + d), (82 + d, 90 + d), (21, 88.125)]
    # Elsewhere than the square: YOLO's readers drop rows that are equal.
    frame = [(x + 1.5, y - 0.75) for x, y in square]
    hole = [(40.5, 50 + d), (60 + d, 50.0), (50.25, 70 + d)]
    part = [(x + 100, y + 20) for x, y in square]
    return [
        bbox("car", 4.25 + d, 5.5, 20.125, 30) | {"attributes": {"wet": True}},
        bbox("small vehicle", 10, 10 + d, 33.3, 22.2) | {"confidence": 0.5},
        # Over the edge at the top left; and turned.
        bbox("car", -15.5, -10 - d, 40, 50),
        _turned("small vehicle", 120 + d, 110, 60, 25.5, (number * 31 + 7) % 360),
        polygon("Gebäude <建物> & co", square),
        polygon("Gebäude <建物> & co", frame, hole),
        polygon("Gebäude <建物> & co", square, part),
        polyline("lane", (1 + d, 2), (50, 60.5), (70.25, 20)),
        *_joints(number + 1, ("nose", 100 + d, 60), ("left_eye", 90, 50.5 + d)),
        *_joints(number + 2, *[(name, 20.5 + 9 * i, 70 + d) for i, name in enumerate(_JOINTS)]),
        {"name": "landmark", "type": "keypoint", "keypoint": {"x": 33.25, "y": 44 + d}},
    ]


def _turned(name: str, cx: float, cy: float, w: float, h: float, angle: float) -> Annotation:
    """A rotated box and the box around it."""
    turn = math.radians(angle)
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    around_w, around_h = w * cos + h * sin, w * sin + h * cos
    box = bbox(name, cx - around_w / 2, cy - around_h / 2, around_w, around_h)
    return box | {"oriented_box": {"cx": cx, "cy": cy, "w": w, "h": h, "angle": angle}}


def _joints(instance: int, *joints: tuple[str, float, float]) -> Iterator[Annotation]:
    for number, (name, x, y) in enumerate(joints):
        yield {
            "name": name,
            "type": "keypoint",
            "keypoint": {"x": x, "y": y},
            "instance_id": instance,
            "attributes": {"occluded": "true"} if number == 1 else {},
        }


def _bccd() -> Iterator[Picture]:
    for path in sorted((SHARED / "bccd" / "Annotations").glob("*.xml")):
        image = SHARED / "bccd" / "JPEGImages" / f"{path.stem}.jpg"
        yield Picture(f"bccd/{image.name}", image.read_bytes(), list(_voc_boxes(path)))


def _voc_boxes(path: Path) -> Iterator[Annotation]:
    for item in ElementTree.parse(path).iterfind("object"):
        keys = ("xmin", "ymin", "xmax", "ymax")
        left, top, right, bottom = (float(item.findtext(f"bndbox/{key}") or "") for key in keys)
        # Two boxes of the dataset have no extent.
        if right > left and bottom > top:
            yield bbox(item.findtext("name") or "", left, top, right - left, bottom - top)


def _coco_cc() -> Iterator[Picture]:
    root = SHARED / "coco_cc"
    by_image: dict[str, list[Annotation]] = {}
    for segment in json.loads((root / "polygons_with_holes.json").read_bytes()):
        rings = [
            [(float(x), float(y)) for x, y in ring]
            for part in segment["polygons"]
            for ring in (part["exterior"], *part["holes"])
        ]
        by_image.setdefault(segment["image"], []).append(polygon(segment["label"], *rings))
    for name, annotations in sorted(by_image.items()):
        split = "val" if "/val2017/" in name else "train"
        yield Picture(f"coco_cc/{name}", (root / name).read_bytes(), annotations, split=split)


def _hituav() -> Iterator[Picture]:
    root = SHARED / "hituav"
    value = json.loads((root / "rotate_val_subset.json").read_bytes())
    names = {category["id"]: category["name"] for category in value["categories"]}
    for image in value["images"]:
        annotations = []
        for row in value["annotations"]:
            if row["image_id"] == image["id"]:
                cx, cy, w, h, radians = row["bbox"]
                angle = math.degrees(radians) % 360
                annotations.append(_turned(names[row["category_id"]], cx, cy, w, h, angle))
        data = (root / "images" / image["filename"]).read_bytes()
        yield Picture(f"hituav/{image['filename']}", data, annotations)


def _odd_names() -> Iterator[Picture]:
    with tarfile.open(SHARED / "odd_names.tar") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file and "/images/" in member.name:
                name = member.name.partition("/images/")[2]
                # What one image has in its name tells it from all others.
                box = bbox("odd", 1 + len(name), 2, 10 + sum(map(ord, name)) % 97 / 4, 20)
                yield Picture(f"odd/{name}", file.read(), [box])


def _keypoints(path: Path) -> tuple[DatasetClass, list[Picture]]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    category = value["categories"][0]
    nodes = tuple(SkeletonNode(name) for name in category["keypoints"])
    edges = tuple((a - 1, b - 1) for a, b in category["skeleton"])
    template = DatasetClass(f"{category['name']} pose", "keypoint", skeleton=Skeleton(nodes, edges))
    pictures = []
    for image in value["images"]:
        annotations: list[Annotation] = []
        rows = [row for row in value["annotations"] if row["image_id"] == image["id"]]
        for instance, row in enumerate(rows, 1):
            numbers = row["keypoints"]
            for node, x, y, flag in zip(nodes, *(numbers[i::3] for i in range(3)), strict=True):
                if flag:
                    joint = _joints(instance, (node.name, float(x), float(y)))
                    annotations += [one | {"attributes": {}} for one in joint]
        data = (path.parent / image["file_name"]).read_bytes()
        pictures.append(Picture(f"{path.parent.name}/{image['file_name']}", data, annotations))
    return template, pictures
