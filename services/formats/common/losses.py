"""What formats lose, as data: a row says what becomes of which annotations or images.

A writer reports a loss by its row, and the forecast of a preview is computed from the same
rows (`services/exports/forecast.py`). Rows that several formats share stand here; each format's
own stand in its folder.

A code is stable and has one meaning over all formats. Where the writer tells more than a
forecast can, its code begins with the forecast's: `polygon.rings` is foreseen,
`polygon.rings.masked` is what came of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from services.catalog.model import DatasetClass
from services.catalog.shapes import POINTS, Shape
from services.formats.common.xml_text import legal

#: The shapes that cover an area, and those that have an outline.
AREAS = frozenset((Shape.bbox, Shape.oriented_box, Shape.polygon, Shape.polygon_rings))
OUTLINES = frozenset((Shape.polygon, Shape.polygon_rings))
EVERY_SHAPE = frozenset(Shape)


class Kind(StrEnum):
    """The kinds of losses."""

    clamped = "clamped"
    degraded = "degraded"
    dropped = "dropped"
    renamed = "renamed"
    unannotated = "unannotated"


@dataclass(frozen=True, slots=True)
class Annotations:
    """A loss of annotations of these shapes that have something left on their image."""

    shapes: frozenset[Shape]
    #: False: of some of them, which only their geometry or attributes tell.
    always: bool = True
    #: Of keypoints: those that are in no pose, and those that are a joint of one.
    lone: bool = True
    posed: bool = True
    #: Only of classes with a skeleton.
    of_skeleton_class: bool = False


@dataclass(frozen=True, slots=True)
class OverEdge:
    """A loss of annotations that reach over the edge of their image."""

    shapes: frozenset[Shape]


@dataclass(frozen=True, slots=True)
class OffImage:
    """A loss of annotations with nothing left on their image."""

    shapes: frozenset[Shape]


@dataclass(frozen=True, slots=True)
class MergedJoints:
    """A loss of joints where those of one object become one annotation."""


@dataclass(frozen=True, slots=True)
class Written:
    """A loss of some annotations of any shape that the format writes."""


@dataclass(frozen=True, slots=True)
class ClassNames:
    """A loss of the written annotations of classes with such a name."""

    matches: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Images:
    """A loss of images: renamed for every archive, in folders, or without annotations."""

    which: Literal["renamed", "foldered", "unannotated"]


@dataclass(frozen=True, slots=True)
class Archive:
    """A loss of the archive itself, and how often it can occur at most."""

    most: int


@dataclass(frozen=True, slots=True)
class Classes:
    """A loss of the archive's classes of which this is so; it counts classes."""

    applies: Callable[[DatasetClass], bool]


When: TypeAlias = (
    Annotations
    | OverEdge
    | OffImage
    | MergedJoints
    | Written
    | ClassNames
    | Images
    | Archive
    | Classes
)


@dataclass(frozen=True, slots=True)
class Loss:
    """A row of a format's loss table."""

    #: Lower-case words, dots and underscores.
    code: str
    kind: Kind
    #: What people read. The writer fills in what stands in braces.
    sentence: str
    #: What the totals of a selection tell of it; None: only the export finds it.
    when: When | None = None
    #: Whether an archive of these classes can have it; None: any can.
    among: Callable[[Sequence[DatasetClass]], bool] | None = None
    #: The sentence of the forecast, where that is another.
    foreseen: str = ""


RENAMED = Loss(
    "image.renamed", Kind.renamed, "the name is not safe or not unique", Images("renamed")
)
UNANNOTATED = Loss(
    "image.unannotated", Kind.unannotated, "the image has no annotations", Images("unannotated")
)
FLATTENED = Loss(
    "image.flattened", Kind.renamed, "folders are a part of the file name", Images("foldered")
)
#: What every format has.
OF_IMAGES = (RENAMED, UNANNOTATED)

NO_ATTRIBUTES = Loss(
    "attributes.unsupported", Kind.degraded, "attributes, which the format does not hold", Written()
)
NO_SCORES = Loss(
    "score.unsupported",
    Kind.degraded,
    "a confidence other than 1, which the format does not hold",
    Written(),
)
#: Of a format that holds shapes and classes alone.
SHAPES_ALONE = (NO_ATTRIBUTES, NO_SCORES)
NO_SUPERCATEGORY = Loss(
    "class.supercategory",
    Kind.degraded,
    "the supercategory of a class, which the format does not hold",
    Classes(lambda item: bool(item.supercategory)),
)

CLAMPED = Loss("shape.clamped", Kind.clamped, "reaches over the edge of the image")
NO_AREA = Loss("shape.no_area", Kind.dropped, "no area on the image")
NO_LINE = Loss("polyline.off_image", Kind.dropped, "no part of the line is on the image")
OUT_OF_REACH = Loss(
    "shape.out_of_reach", Kind.dropped, "a coordinate lies more than 1e9 pixels away"
)
NO_CLASS = Loss("class.not_in_archive", Kind.dropped, "the archive has no such class")


CROWD_AS_OBJECT = Loss(
    "crowd.as_object",
    Kind.degraded,
    "a crowd, a region of many objects, as one object",
    Written(),
    # An import declares the attributes that it meets.
    among=lambda classes: any(a.name == "iscrowd" for c in classes for a in c.attributes),
)


def cut_to_image(
    shapes: Iterable[Shape], *, keeps_turned_boxes: bool = False, keeps_crowds: bool = False
) -> tuple[Loss, ...]:
    """The losses of a format that cuts these shapes to their image.

    `keeps_turned_boxes`: a rotated box that reaches over the edge stays whole.
    `keeps_crowds`: the format says which areas are crowds.
    """
    shapes = frozenset(shapes)
    clamped = shapes - {Shape.oriented_box} if keeps_turned_boxes else shapes
    cut: list[tuple[Loss, OverEdge | OffImage]] = [
        (CLAMPED, OverEdge(clamped)),
        (NO_AREA, OffImage(shapes & AREAS)),
        (NO_LINE, OffImage(shapes & {Shape.polyline})),
    ]
    return (
        *(replace(row, when=when) for row, when in cut if when.shapes),
        # The totals count areas and lines so far away among those off their image.
        replace(OUT_OF_REACH, when=OffImage(shapes & POINTS)),
        NO_CLASS,
        *(() if keeps_crowds or shapes <= POINTS else (CROWD_AS_OBJECT,)),
    )


#: A joint stays an object of its own, or loses something to its object.
JOINT_MISFIT = Loss(
    "joint.misfit",
    Kind.degraded,
    "a joint that fits no skeleton, or differs from its object's others in an attribute",
    MergedJoints(),
)
JOINT_ALONE = Loss("joint.misfit.alone", Kind.degraded, "a keypoint as its own object: {reason}")
JOINT_DIFFERS = Loss(
    "joint.misfit.attribute", Kind.degraded, "joints of one object differ in an attribute"
)
JOINT_DROPPED = Loss("joint.dropped", Kind.dropped, "{reason}")
#: Of a format that makes one annotation of the joints of an object.
MERGED_JOINTS = (JOINT_MISFIT, JOINT_ALONE, JOINT_DIFFERS, JOINT_DROPPED)

TURNED_AS_POLYGON = Loss(
    "oriented_box.as_polygon",
    Kind.degraded,
    "a rotated box as a polygon",
    Annotations(frozenset((Shape.oriented_box,))),
)
TURNED_AS_BOX = Loss(
    "oriented_box.as_box",
    Kind.degraded,
    "a rotated box as the box around it",
    Annotations(frozenset((Shape.oriented_box,))),
)
POLYGON_AS_BOX = Loss(
    "polygon.as_box",
    Kind.degraded,
    "a polygon as the box around it",
    Annotations(OUTLINES),
)
POLYGON_AS_RECTANGLE = Loss(
    "polygon.as_rectangle",
    Kind.degraded,
    "a polygon as the smallest rectangle around it",
    Annotations(OUTLINES),
)
RECTANGLE_CUT = Loss(
    "polygon.rectangle_cut",
    Kind.clamped,
    "the smallest rectangle around a polygon reaches over the edge of the image",
    Annotations(OUTLINES, always=False),
)
NO_ORIENTED_BOX = Loss("oriented_box.no_area", Kind.dropped, "no rotated box is left on the image")

_SOME_RINGS = Annotations(frozenset((Shape.polygon_rings,)), always=False)
RINGS = Loss(
    "polygon.rings",
    Kind.degraded,
    "a polygon with holes as a mask, or one of several parts as a group",
    _SOME_RINGS,
)
HOLES_MASKED = Loss("polygon.rings.masked", Kind.degraded, "a polygon with holes as a mask")
PARTS_GROUPED = Loss(
    "polygon.rings.grouped", Kind.degraded, "a polygon of several parts as a group of polygons"
)
HOLE_FILLED = Loss(
    "polygon.hole_filled",
    Kind.degraded,
    "a hole is filled: less than a pixel is left",
    _SOME_RINGS,
)
#: Of a format that has masks, and polygons of one ring.
MASK_OR_GROUP = (RINGS, HOLES_MASKED, PARTS_GROUPED, HOLE_FILLED)


def unsupported(
    noun: Literal["box", "polygon", "polyline", "keypoint"], sentence: str, *, posed: bool = True
) -> Loss:
    """A kind of annotation that the format has no place for.

    `posed`: keypoints that are a joint of a pose are dropped too.
    """
    shapes = {
        "box": frozenset((Shape.bbox, Shape.oriented_box)),
        "polygon": OUTLINES,
        "polyline": frozenset((Shape.polyline,)),
        "keypoint": POINTS,
    }
    return Loss(
        f"{noun}.unsupported", Kind.dropped, sentence, Annotations(shapes[noun], posed=posed)
    )


#: By the type of an annotation, for formats without a better sentence.
UNSUPPORTED = {
    "bbox": unsupported("box", "the format has no boxes"),
    "polygon": unsupported("polygon", "the format has no polygons"),
    "polyline": unsupported("polyline", "the format has no polylines"),
    "keypoint": unsupported("keypoint", "the format has no keypoints"),
}

CLASS_NAME_NOT_XML = Loss(
    "class_name.not_xml",
    Kind.renamed,
    "XML cannot hold a character of the class name",
    ClassNames(lambda name: legal(name) != name),
)

#: Of a format of rotated boxes alone.
ROTATED_BOXES = (
    *cut_to_image(AREAS),
    POLYGON_AS_RECTANGLE,
    NO_ORIENTED_BOX,
    UNSUPPORTED["polyline"],
    UNSUPPORTED["keypoint"],
)
