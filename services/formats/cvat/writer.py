"""CVAT for images 1.1: one XML file for all images.

Fields: https://docs.cvat.ai/docs/dataset_management/formats/xml_format/ and what CVAT and
Datumaro read. The layout is that of a task; with splits, each of `train/`, `valid/` and
`test/` is a task of its own. Coordinates have all their decimals, where CVAT writes two.

A rotated box is written whole and upright about its centre, with its angle. A polygon with
holes becomes a mask, one of several parts a group of polygons. Joints of one object become a
skeleton; those that it lacks are marked as outside.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from services.catalog.model import ClassAttribute, DatasetClass, Skeleton
from services.formats.common.attributes import attribute_text, take_flag
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import TOLERANCE, OrientedBox, Point, Ring
from services.formats.common.keypoints import OCCLUDED
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import (
    CLASS_NAME_NOT_XML,
    HOLE_FILLED,
    HOLES_MASKED,
    PARTS_GROUPED,
)
from services.formats.common.masks import Crop, even_odd_crop, needs_mask
from services.formats.common.objects import Object, Pose, objects
from services.formats.common.ring_nesting import outer_rings
from services.formats.common.shapes import Joint, Line, Rectangle, Region, TurnedBox
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.common.xml_text import legal, quoted
from services.formats.cvat.losses import ATTRIBUTE_UNDECLARED, OF_SKELETON_CLASS

_END = b"</annotations>\n"
_SHAPES = frozenset(("box", "polygon", "polyline", "points", "mask", "skeleton"))
#: CVAT's input types; a number has a range there, which ours have not.
_INPUT_TYPES = {"text": "text", "number": "text", "select": "select", "checkbox": "checkbox"}
#: Side of the square in which CVAT draws skeletons.
_TEMPLATE_SIDE = 100


class Cvat:
    """`annotations.xml`, `images/<name>`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """None: all text is in documents."""
        return ()

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        return "".join(
            f"{folder}annotations.xml   all annotations, as CVAT for images 1.1\n"
            f"{folder}images/<name>   the image files\n"
            for folder in info.folders
        ) + (
            "Classes go by name. Datumaro needs the image files beside the XML; CVAT takes the\n"
            "XML alone. The parts of one polygon share a group_id.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """One for each top folder."""
        head = _head(info).encode()
        return [
            Document(f"{folder}annotations.xml", ("images",), (head, b"\n" + _END), b"\n")
            for folder in info.folders
        ]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's element, on one line."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        losses = rendered.losses
        declared = info.once(_declared)
        texts: list[str] = []
        for item in objects(image, info, selected, losses, cuts_turned_boxes=False):
            texts += _elements(item, image, declared, losses)
        rendered.annotation_count = len(texts)
        row = (
            f'<image id="{image.number - 1}" name="{quoted(image.name)}" '
            f'width="{image.width}" height="{image.height}">{"".join(texts)}</image>'
        )
        rendered.rows[f"{image.folder(info)}annotations.xml", "images"] = [row.encode()]
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """Images stand on lines of their own, after the labels."""
        head: list[bytes] = []
        image_count = annotation_count = 0
        known = {legal(c.name) for c in info.selected_classes}
        last = b""
        for line in lines:
            if line.startswith(b"<image "):
                image_count += 1
                annotation_count += _check(_parsed(line), known)
            elif not image_count:
                head.append(line)
            last = line or last
        if last + b"\n" != _END:
            raise ValueError("it breaks off")
        labels = _parsed(b"\n".join(head) + (_END if image_count else b"")).iterfind(
            "meta/task/labels/label"
        )
        if found := known.difference(label.findtext("name") or "" for label in labels):
            raise ValueError(f"it does not declare the class {min(found)!r}")
        return Tally(image_count, annotation_count)


def _head(info: ExportInfo) -> str:
    labels = "".join(_label(c) for c in info.selected_classes)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        f"<meta>\n<task>\n<name>{quoted(info.dataset_name)}</name>\n<mode>annotation</mode>\n"
        "<overlap>0</overlap>\n<bugtracker></bugtracker>\n<flipped>False</flipped>\n"
        f"<labels>\n{labels}</labels>\n</task>\n</meta>\n"
    )


def _label(c: DatasetClass) -> str:
    """A class, and its joints as labels below it."""
    name = quoted(c.name)
    attributes = "".join(map(_attribute_of_class, c.attributes))
    # `any` takes every shape but skeletons: annotations of a class need not be of one type.
    kind = "skeleton" if _has_skeleton(c) else "any"
    head = (
        f"<label>\n<name>{name}</name>\n<color>{quoted(c.color)}</color>\n<type>{kind}</type>\n"
        f"<attributes>{attributes}</attributes>\n"
    )
    if c.skeleton is None or not c.skeleton.nodes:
        return f"{head}</label>\n"
    joints = "".join(
        f"<label>\n<name>{quoted(node.name)}</name>\n<type>points</type>\n"
        f"<attributes></attributes>\n<parent>{name}</parent>\n</label>\n"
        for node in c.skeleton.nodes
    )
    return f"{head}<svg>{quoted(_drawing(c.skeleton))}</svg>\n</label>\n{joints}"


def _has_skeleton(c: DatasetClass) -> bool:
    return c.skeleton is not None and bool(c.skeleton.nodes)


def _attribute_of_class(attribute: ClassAttribute) -> str:
    values = "\n".join(attribute.values)
    default = attribute.values[0] if attribute.values else ""
    if attribute.type == "checkbox":
        values, default = "false\ntrue", "false"
    return (
        f"<attribute><name>{quoted(attribute.name)}</name><mutable>False</mutable>"
        f"<input_type>{_INPUT_TYPES.get(attribute.type, 'text')}</input_type>"
        f"<default_value>{quoted(default)}</default_value>"
        f"<values>{quoted(values)}</values></attribute>"
    )


def _drawing(skeleton: Skeleton) -> str:
    """The template as CVAT draws it: bones, then joints, by number from 1."""
    places = [(node.x * _TEMPLATE_SIDE, node.y * _TEMPLATE_SIDE) for node in skeleton.nodes]
    bones = "".join(
        f'<line x1="{places[a][0]:g}" y1="{places[a][1]:g}" x2="{places[b][0]:g}" '
        f'y2="{places[b][1]:g}" data-type="edge" data-node-from="{a + 1}" data-node-to="{b + 1}"/>'
        for a, b in skeleton.edges
    )
    joints = "".join(
        f'<circle r="0.75" cx="{x:g}" cy="{y:g}" data-type="element node" '
        f'data-element-id="{number}" data-node-id="{number}" '
        f'data-label-name="{quoted(node.name)}"/>'
        for number, (node, (x, y)) in enumerate(zip(skeleton.nodes, places, strict=True), 1)
    )
    return bones + joints


def _declared(info: ExportInfo) -> dict[str, DatasetClass]:
    return {c.name: c for c in info.selected_classes}


def _elements(
    item: Object, image: ExportImage, declared: Mapping[str, DatasetClass], losses: LossReport
) -> list[str]:
    """The elements of an object: several where a polygon has several parts."""
    of_class = declared[item.class_name]
    if legal(item.class_name) != item.class_name:
        losses.add(CLASS_NAME_NOT_XML, item.id)
    attributes, is_occluded = take_flag(item.attributes_with_score, "occluded")
    if attributes.keys() - {attribute.name for attribute in of_class.attributes}:
        losses.add(ATTRIBUTE_UNDECLARED, item.id)
    if _has_skeleton(of_class) and not isinstance(item.shape, Pose):
        losses.add(OF_SKELETON_CLASS, item.id)
    inner = "".join(
        f'<attribute name="{quoted(name)}">{quoted(attribute_text(value))}</attribute>'
        for name, value in attributes.items()
    )
    common = f'label="{quoted(item.class_name)}" source="manual"'
    flags = f'{common} occluded="{int(is_occluded)}"'
    match item.shape:
        case Rectangle((x, y, w, h)):
            box = f'xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"'
            return [f'<box {flags} {box} z_order="0">{inner}</box>']
        case TurnedBox(oriented):
            return [f'<box {flags} {_turned(oriented)} z_order="0">{inner}</box>']
        case Region(rings):
            return _region(item, rings, image, flags, inner, losses)
        case Line(path):
            return [f'<polyline {flags} points="{_points(path)}" z_order="0">{inner}</polyline>']
        case Joint(_, point, visibility):
            place = f'occluded="{int(visibility == OCCLUDED)}" points="{_points([point])}"'
            return [f'<points {common} {place} z_order="0">{inner}</points>']
        case Pose() as pose:
            return [f'<skeleton {common} z_order="0">{_joints(pose)}{inner}</skeleton>']


def _turned(box: OrientedBox) -> str:
    edges = box.cx - box.w / 2, box.cy - box.h / 2, box.cx + box.w / 2, box.cy + box.h / 2
    place = " ".join(
        f'{name}="{edge}"' for name, edge in zip(("xtl", "ytl", "xbr", "ybr"), edges, strict=True)
    )
    return f'{place} rotation="{box.angle}"'


def _region(
    item: Object, rings: list[Ring], image: ExportImage, flags: str, inner: str, losses: LossReport
) -> list[str]:
    if needs_mask(rings, image.width, image.height):
        crop = even_odd_crop(rings)
        if crop.area:
            losses.add(HOLES_MASKED, item.id)
            return [f'<mask {flags} {_mask(crop)} z_order="0">{inner}</mask>']
        losses.add(HOLE_FILLED, item.id)
        rings = outer_rings(rings)
    group = ""
    if len(rings) > 1:
        losses.add(PARTS_GROUPED, item.id)
        group = f' group_id="{item.number}"'
    return [
        f'<polygon {flags} points="{_points(ring)}" z_order="0"{group}>{inner}</polygon>'
        for ring in rings
    ]


def _mask(crop: Crop) -> str:
    runs = ", ".join(map(str, crop.runs.tolist()))
    return (
        f'rle="{runs}" left="{crop.left}" top="{crop.top}" '
        f'width="{crop.width}" height="{crop.height}"'
    )


def _joints(pose: Pose) -> str:
    return "".join(
        f'<points label="{quoted(name)}" source="manual" outside="{int(joint is None)}" '
        f'occluded="{int(joint is not None and joint.visibility == OCCLUDED)}" '
        f'points="{_points([joint.point if joint else (0.0, 0.0)])}"></points>'
        for name, joint in zip(pose.names, pose.joints, strict=True)
    )


def _points(points: Sequence[Point]) -> str:
    return ";".join(f"{x},{y}" for x, y in points)


def _parsed(text: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is no XML: {error}") from error


def _check(image: ElementTree.Element, known: set[str]) -> int:
    """How many annotations an image has.

    Raises:
        ValueError: one is of no class of the archive, or not on the image.
    """
    width, height = float(image.attrib["width"]), float(image.attrib["height"])
    for shape in image:
        if shape.tag not in _SHAPES or shape.attrib["label"] not in known:
            raise ValueError(f"it has a {shape.tag} of class {shape.get('label')!r}")
        for x, y in _places(shape):
            if not (0 <= x <= width + TOLERANCE and 0 <= y <= height + TOLERANCE):
                raise ValueError(f"a {shape.tag} of {image.attrib['name']!r} is not on the image")
    return len(image)


def _places(shape: ElementTree.Element) -> Iterator[Point]:
    """The points of a shape that must lie on its image; a rotated box may reach over the edge."""
    values: Mapping[str, Any] = shape.attrib
    if shape.tag == "skeleton":
        for joint in shape.iterfind("points"):
            yield from _places(joint)
    elif shape.tag == "mask":
        left, top = int(values["left"]), int(values["top"])
        width, height = int(values["width"]), int(values["height"])
        if sum(map(int, values["rle"].split(","))) != width * height:
            raise ValueError("the runs of a mask do not cover it")
        yield left, top
        yield left + width, top + height
    elif shape.tag == "box":
        if "rotation" not in values:
            yield float(values["xtl"]), float(values["ytl"])
            yield float(values["xbr"]), float(values["ybr"])
    else:
        for pair in values["points"].split(";"):
            x, y = map(float, pair.split(","))
            yield x, y


WRITER = Cvat()
