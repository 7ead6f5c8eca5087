"""Pascal VOC: one XML file of boxes per image, and lists of images.

Layout and fields: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/ (section 2.5) and
what torchvision, Datumaro, supervision and the official SDK read. With splits, each of
`train/`, `valid/` and `test/` holds a VOCdevkit of its own.

Boxes are whole pixels counted from 0, as the SDK, CVAT and Datumaro have them: xmin is the
left edge, xmax the right one. What has no box of its own gets the one around it and is
reported; lines and single keypoints are dropped. Attributes follow in `<attributes>`, as
Datumaro writes them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import orjson

from services.formats.common.attributes import attribute_text, take_flag
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.flat_names import flat_name, flat_stem, report_flat_name
from services.formats.common.geometry import TOLERANCE, Box
from services.formats.common.keypoints import trainable_box
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import CLASS_NAME_NOT_XML, POLYGON_AS_BOX, TURNED_AS_BOX
from services.formats.common.objects import Object, Pose, objects
from services.formats.common.shapes import Joint, Line, Rectangle, Region, TurnedBox
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.common.xml_text import legal, quoted
from services.formats.pascal_voc.losses import (
    NAME_IS_COMMENT,
    NO_KEYPOINTS,
    NO_POLYLINES,
    POSE_AS_BOX,
    ROUNDED,
    WIDENED,
)

_DEVKIT = "VOCdevkit/VOC2012/"
#: The lists of images in each top folder; the first is the split's own.
_LISTS = {
    "": ("train", "trainval"),
    "train/": ("train", "trainval"),
    "valid/": ("val", "trainval"),
    "test/": ("test",),
}
#: Class names that a line of `labelmap.txt` can hold.
_PLAIN_NAME = re.compile(r"[^\s#:]([^\r\n\v\f\x1c-\x1e\x85\u2028\u2029:]*[^\s:])?")


class PascalVoc:
    """`VOCdevkit/VOC2012/` with `Annotations/`, `JPEGImages/` and `ImageSets/Main/`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`VOCdevkit/VOC2012/JPEGImages/<name>`, under the split's folder if there is one."""
        return f"{image.folder(info)}{_DEVKIT}JPEGImages/{flat_name(image)}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`VOCdevkit/VOC2012/Annotations/<stem>.xml`."""
        return (f"{image.folder(info)}{_DEVKIT}Annotations/{flat_stem(image)}.xml",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        lines = []
        for folder in info.folders:
            names = ",".join(_LISTS[folder])
            names = f"{{{names}}}" if "," in names else names
            lines += [
                f"{folder}{_DEVKIT}Annotations/<stem>.xml   one image and its boxes",
                f"{folder}{_DEVKIT}ImageSets/Main/{names}.txt   the stems of the images",
                f"{folder}{_DEVKIT}{_class_file(info)[0]}   the classes, in order",
                f"{folder}{_DEVKIT}JPEGImages/<name>   the image files",
            ]
        lines += [
            "Boxes are whole pixels from 0: xmin is the left edge of a box, xmax the right one.",
            "Readers that count pixels from 1 see left and top edges one pixel too far out.",
            "<depth> is always 3.",
        ]
        return "\n".join(lines) + "\n"

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """The lists of images, and the classes for Datumaro and CVAT."""
        name, text = _class_file(info)
        return [
            document
            for folder in info.folders
            for document in (
                *(
                    Document(path, ("stems",), (b"", b""), separator=b"")
                    for path in _list_paths(folder)
                ),
                Document(f"{folder}{_DEVKIT}{name}", (), (text,)),
            )
        ]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's own file, and its line in the lists."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        losses = rendered.losses
        found = objects(image, info, selected, losses)
        texts = [text for item in found if (text := _object(item, image, losses))]
        rendered.annotation_count = len(texts)
        report_flat_name(image, losses)
        name = flat_name(image)
        stem = flat_stem(image)
        if stem.startswith("#"):
            losses.add(NAME_IS_COMMENT, image.id)
        folder = image.folder(info)
        value = (
            f"<annotation>\n<folder>VOC2012</folder>\n<filename>{quoted(name)}</filename>\n"
            f"<source><database>{quoted(info.dataset_name)}</database>"
            "<annotation>Pascal VOC</annotation><image>Unknown</image></source>\n"
            f"<size><width>{image.width}</width><height>{image.height}</height>"
            "<depth>3</depth></size>\n<segmented>0</segmented>\n"
            f"{''.join(texts)}</annotation>\n"
        )
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, value.encode()))
        for path in _list_paths(folder):
            rendered.rows[path, "stems"] = [f"{stem}\n".encode()]
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """One image for each XML file, whose boxes are of the archive's classes and on it."""
        if not path.endswith(".xml"):
            for line in lines:
                line.decode()
            return Tally()
        try:
            root = ElementTree.fromstring(b"\n".join(lines))
        except ElementTree.ParseError as error:
            raise ValueError(f"it is no XML: {error}") from error
        known = info.once(_legal_names)
        width, height = int(root.findtext("size/width", "")), int(root.findtext("size/height", ""))
        count = 0
        for element in root.iterfind("object"):
            if element.findtext("name") not in known:
                raise ValueError(f"the archive has no class {element.findtext('name')!r}")
            box = element.find("bndbox")
            x0, y0, x1, y1 = (
                int((box.findtext(key) if box is not None else None) or "")
                for key in ("xmin", "ymin", "xmax", "ymax")
            )
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                raise ValueError(f"box {x0},{y0},{x1},{y1} is not on the image")
            count += 1
        return Tally(1, count)


def _list_paths(folder: str) -> Iterator[str]:
    return (f"{folder}{_DEVKIT}ImageSets/Main/{name}.txt" for name in _LISTS[folder])


def _legal_names(info: ExportInfo) -> frozenset[str]:
    return frozenset(legal(c.name) for c in info.selected_classes)


def _class_file(info: ExportInfo) -> tuple[str, bytes]:
    """`labelmap.txt`, or the form of it that holds any name, where a class name needs that."""
    names = [legal(c.name) for c in info.selected_classes]
    colors = [_rgb(c.color) for c in info.selected_classes]
    if all(_PLAIN_NAME.fullmatch(name) for name in names):
        lines = [
            f"{name}:{red},{green},{blue}::\n"
            for name, (red, green, blue) in zip(names, colors, strict=True)
        ]
        return "labelmap.txt", "".join(lines).encode()
    value = {
        "label_map": {str(number): name for number, name in enumerate(names)},
        "segmentation_colors": colors,
    }
    return "dataset_meta.json", orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _rgb(color: str) -> tuple[int, int, int]:
    """The parts of `#rrggbb`; grey where it is something else."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", color):
        return 128, 128, 128
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:], 16)


def _object(item: Object, image: ExportImage, losses: LossReport) -> str:
    """The `<object>` element; empty where VOC has none for it."""
    box = _box(item, image, losses)
    if box is None:
        return ""
    x0, y0, x1, y1 = _whole_pixels(item, box, image, losses)
    name = legal(item.class_name)
    if name != item.class_name:
        losses.add(CLASS_NAME_NOT_XML, item.id)
    attributes, is_occluded = take_flag(item.attributes_with_score, "occluded")
    attributes, is_difficult = take_flag(attributes, "difficult")
    attributes, is_truncated = take_flag(attributes, "truncated")
    return (
        f"<object>\n<name>{quoted(name)}</name>\n<pose>Unspecified</pose>\n"
        f"<truncated>{int(is_truncated or item.is_cut)}</truncated>\n"
        f"<difficult>{int(is_difficult)}</difficult>\n<occluded>{int(is_occluded)}</occluded>\n"
        f"<bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>\n"
        f"{_attributes(attributes)}</object>\n"
    )


def _box(item: Object, image: ExportImage, losses: LossReport) -> Box | None:
    match item.shape:
        case Rectangle(box):
            return box
        case TurnedBox() as turned:
            losses.add(TURNED_AS_BOX, item.id)
            return turned.bounds
        case Region() as region:
            losses.add(POLYGON_AS_BOX, item.id)
            return region.bounds
        case Pose() as pose:
            losses.add(POSE_AS_BOX, item.id)
            points = [joint.point for joint in pose.placed]
            return trainable_box(points, image.width, image.height)
        case Line():
            losses.add(NO_POLYLINES, item.id)
        case Joint():
            losses.add(NO_KEYPOINTS, item.id)
    return None


def _whole_pixels(
    item: Object, box: Box, image: ExportImage, losses: LossReport
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, rounded; a pixel at least on each axis."""
    edges = box[0], box[1], box[0] + box[2], box[1] + box[3]
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    if x0 == x1 or y0 == y1:
        losses.add(WIDENED, item.id)
        if x0 == x1:
            x0, x1 = (x0, x1 + 1) if x1 < image.width else (x0 - 1, x1)
        if y0 == y1:
            y0, y1 = (y0, y1 + 1) if y1 < image.height else (y0 - 1, y1)
    elif any(abs(edge - round(edge)) > TOLERANCE for edge in edges):
        losses.add(ROUNDED, item.id)
    return x0, y0, x1, y1


def _attributes(attributes: dict[str, Any]) -> str:
    if not attributes:
        return ""
    rows = "".join(
        f"<attribute><name>{quoted(name)}</name><value>{quoted(attribute_text(value))}</value></attribute>"
        for name, value in attributes.items()
    )
    return f"<attributes>{rows}</attributes>\n"


WRITER = PascalVoc()
