"""What each format loses, as far as counts of shapes tell: the loss report before the export.

The formats themselves live with the workers and know each annotation; here stand the rules
of their loss reports. A test builds an archive in every format and compares.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.catalog.model import DatasetClass
from services.catalog.selection import ImageTotals, Selection, ShapeTotals
from services.catalog.shapes import POINTS, Shape


class Kind(StrEnum):
    """The kinds of losses."""

    clamped = "clamped"
    degraded = "degraded"
    dropped = "dropped"
    renamed = "renamed"
    unannotated = "unannotated"


@dataclass(frozen=True, slots=True)
class ExpectedLoss:
    """Some annotations or images of a selection, and why a format changes them."""

    kind: Kind
    reason: str
    count: int
    #: The archive may lose fewer: only the annotations themselves tell.
    at_most: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """What becomes of a selection in a format."""

    #: Annotations in the archive.
    annotation_count: int
    #: The archive may hold fewer.
    annotations_at_most: bool
    losses: tuple[ExpectedLoss, ...]
    #: Sentences for people: what only the archive itself will tell.
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    """What becomes of the annotations of a shape."""

    kind: Kind
    reason: str
    #: False: of some of them, which only their geometry or attributes tell.
    always: bool = True


Rules = tuple[_Rule, ...]


def _degraded(reason: str, *, always: bool = True) -> _Rule:
    return _Rule(Kind.degraded, reason, always)


def _dropped(reason: str) -> _Rule:
    return _Rule(Kind.dropped, reason)


@dataclass(frozen=True, slots=True)
class _Format:
    """The rules of a format. A shape without a rule is written as it is."""

    shapes: Mapping[Shape, Rules] = field(default_factory=dict)
    #: Of a keypoint that is in no pose, and of one that is a joint of a pose.
    lone: Rules = ()
    joint: Rules = ()
    #: Of what is no pose and yet of a class with a skeleton, for some shapes.
    of_skeleton_class: Rules = ()
    of_skeleton_class_shapes: frozenset[Shape] = POINTS
    #: Of every annotation that is written.
    written: Rules = ()
    #: Of the annotations of a class, by its name.
    class_name: Callable[[str], bool] = lambda name: False
    class_name_rule: _Rule | None = None
    #: Shapes that are cut to the image before anything else becomes of them.
    cut: frozenset[Shape] = frozenset(Shape)
    #: Rotated boxes that reach over the edge stay whole.
    keeps_turned_boxes: bool = False
    #: The joints of an object become one annotation.
    merges_joints: bool = False
    #: Each ring of a polygon may become an annotation.
    parts_polygons: bool = False
    #: Folders become a part of the file name.
    flat_names: bool = False
    #: Of the archive itself: reason and the most there can be.
    archive: tuple[tuple[str, int], ...] = ()
    note: str = ""


_AREAS = frozenset((Shape.bbox, Shape.oriented_box, Shape.polygon, Shape.polygon_rings))
_OUTLINES = (Shape.polygon, Shape.polygon_rings)

_NO_AREA = "no area on the image"
_NO_LINE = "no part of the line is on the image"
_NO_PLACE = "a coordinate lies more than 1e9 pixels away"
_OVER = "reaches over the edge of the image"
_MISFIT = "a joint that fits no skeleton, or differs from its object's others in an attribute"

_TURNED_AS_POLYGON = (_degraded("a rotated box as a polygon"),)
_TURNED_AS_BOX = (_degraded("a rotated box as the box around it"),)
_POLYGON_AS_BOX = (_degraded("a polygon as the box around it"),)
_POLYGON_AS_RECTANGLE = (_degraded("a polygon as the smallest rectangle around it"),)
_MASK_OR_GROUP = (
    _degraded("a polygon with holes as a mask, or one of several parts as a group", always=False),
    _degraded("a hole is filled: less than a pixel is left", always=False),
)
_NO_POLYLINES = (_dropped("the format has no polylines"),)
_NO_KEYPOINTS = (_dropped("the format has no keypoints"),)

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_NAMES = _Rule(Kind.renamed, "XML cannot hold a character of the class name")

_YOLO_ARCHIVE = (("a split without images: data.yaml names those of another", 2),)
_YOLO_NOTE = (
    "Equal rows of a label file, objects too small for its six digits, and images that "
    "Ultralytics skips (GIFs, sides of less than 10 pixels) are only found by the export."
)
_YOLO_BOXES = _Format(
    {
        Shape.oriented_box: _TURNED_AS_BOX,
        Shape.polygon: _POLYGON_AS_BOX,
        Shape.polygon_rings: _POLYGON_AS_BOX,
        Shape.polyline: _NO_POLYLINES,
    },
    lone=_NO_KEYPOINTS,
    joint=_NO_KEYPOINTS,
    cut=_AREAS,
    flat_names=True,
    archive=_YOLO_ARCHIVE,
    note=_YOLO_NOTE,
)
_YOLO_POLYGONS = _Format(
    {
        Shape.bbox: (_degraded("a box as a polygon of its corners"),),
        Shape.oriented_box: _TURNED_AS_POLYGON,
        Shape.polygon_rings: (
            _degraded("a polygon's parts and holes joined by seams", always=False),
        ),
        Shape.polyline: _NO_POLYLINES,
    },
    lone=_NO_KEYPOINTS,
    joint=_NO_KEYPOINTS,
    cut=_AREAS,
    flat_names=True,
    archive=_YOLO_ARCHIVE,
    note=_YOLO_NOTE,
)
_YOLO_POSE = _Format(
    {
        Shape.bbox: (_dropped("the format has no boxes"),),
        Shape.oriented_box: (_dropped("the format has no boxes"),),
        Shape.polygon: (_dropped("the format has no polygons"),),
        Shape.polygon_rings: (_dropped("the format has no polygons"),),
        Shape.polyline: _NO_POLYLINES,
    },
    lone=(_dropped("a keypoint that is in no pose"),),
    cut=POINTS,
    merges_joints=True,
    flat_names=True,
    archive=_YOLO_ARCHIVE,
    note=_YOLO_NOTE,
)
_YOLO_POSE_UNEQUAL = _Format(
    _YOLO_POSE.shapes,
    lone=_YOLO_POSE.lone,
    joint=(_degraded("a shorter skeleton filled up with absent joints", always=False),),
    cut=POINTS,
    merges_joints=True,
    flat_names=True,
    archive=_YOLO_ARCHIVE,
    note=_YOLO_NOTE,
)

_FORMATS: Mapping[str, _Format] = {
    "pictograph": _Format(cut=frozenset()),
    "darwin": _Format({Shape.oriented_box: _TURNED_AS_POLYGON}, merges_joints=True),
    "coco": _Format(
        {
            Shape.oriented_box: _TURNED_AS_POLYGON,
            Shape.polygon_rings: (_degraded("a polygon with holes as a mask", always=False),),
            Shape.polyline: (_dropped("COCO has no polylines"),),
        },
        of_skeleton_class=(_degraded("a keypoint as a box: its class has a skeleton"),),
        cut=_AREAS | POINTS,
        merges_joints=True,
    ),
    "yolo": _YOLO_BOXES,
    "yolo_obb": _Format(
        {
            Shape.polygon: _POLYGON_AS_RECTANGLE,
            Shape.polygon_rings: _POLYGON_AS_RECTANGLE,
            Shape.polyline: _NO_POLYLINES,
        },
        lone=_NO_KEYPOINTS,
        joint=_NO_KEYPOINTS,
        cut=_AREAS,
        flat_names=True,
        archive=_YOLO_ARCHIVE,
        note=_YOLO_NOTE,
    ),
    "yolo_pose": _YOLO_POSE,
    "dota": _Format(
        {
            Shape.polygon: _POLYGON_AS_RECTANGLE,
            Shape.polygon_rings: _POLYGON_AS_RECTANGLE,
            Shape.polyline: _NO_POLYLINES,
        },
        lone=_NO_KEYPOINTS,
        joint=_NO_KEYPOINTS,
        cut=_AREAS,
        flat_names=True,
    ),
    "pascal_voc": _Format(
        {
            Shape.oriented_box: _TURNED_AS_BOX,
            Shape.polygon: _POLYGON_AS_BOX,
            Shape.polygon_rings: _POLYGON_AS_BOX,
            Shape.polyline: (_dropped("Pascal VOC has no polylines"),),
        },
        lone=(_dropped("Pascal VOC has no keypoints"),),
        joint=(_degraded("a pose as the box around it", always=False),),
        written=(_degraded("rounded to whole pixels", always=False),),
        class_name=lambda name: bool(_NOT_XML.search(name)),
        class_name_rule=_XML_NAMES,
        merges_joints=True,
        flat_names=True,
        note="Images whose names begin with # are only found by the export.",
    ),
    "cvat": _Format(
        {Shape.polygon_rings: _MASK_OR_GROUP},
        of_skeleton_class=(
            _degraded("a shape that is no skeleton, of a class with one: CVAT may refuse it"),
        ),
        of_skeleton_class_shapes=frozenset(Shape),
        written=(
            _degraded("CVAT leaves out an attribute that the class does not declare", always=False),
        ),
        class_name=lambda name: bool(_NOT_XML.search(name)),
        class_name_rule=_XML_NAMES,
        keeps_turned_boxes=True,
        merges_joints=True,
        parts_polygons=True,
    ),
    "datumaro": _Format(
        {Shape.oriented_box: _TURNED_AS_POLYGON, Shape.polygon_rings: _MASK_OR_GROUP},
        merges_joints=True,
        parts_polygons=True,
    ),
    "labelme": _Format(
        {Shape.oriented_box: _TURNED_AS_POLYGON, Shape.polygon_rings: _MASK_OR_GROUP},
        class_name=lambda name: " ".join(name.split()) != name,
        class_name_rule=_Rule(Kind.renamed, "a class name with line breaks or wide gaps"),
        parts_polygons=True,
    ),
    "csv": _Format(
        class_name=lambda name: name.startswith(("=", "+", "-", "@", "\t", "\r")),
        class_name_rule=_degraded("text that a spreadsheet would take for a formula"),
        note="Annotation ids that a spreadsheet would take for formulas are only found by the "
        "export.",
    ),
}

#: What no count of shapes tells.
_OUTLINE_NOTE = "Polygons without area, which are dropped, are only found by the export."


def forecast(
    format_name: str,
    classes: Sequence[DatasetClass],
    selection: Selection,
    images: ImageTotals,
    shapes: Iterable[ShapeTotals],
) -> Forecast:
    """What becomes of a selection in a format.

    A loss is exact, or the most that there can be. Counts are in annotations (clamped,
    degraded, dropped) or images (renamed, unannotated; a renamed class counts its annotations).
    """
    rules = _rules(format_name, classes, selection)
    work = _Work(rules, classes, selection)
    for found in shapes:
        work.add(found)
    work.add_images(images)
    notes = [rules.note] if rules.note else []
    if work.has_outlines and rules.cut & set(_OUTLINES):
        notes.append(_OUTLINE_NOTE)
    return Forecast(
        work.annotation_count, work.annotations_at_most, tuple(work.losses()), tuple(notes)
    )


def _rules(format_name: str, classes: Sequence[DatasetClass], selection: Selection) -> _Format:
    """The rules of a format, which may follow from the classes of the archive."""
    taken = [
        item
        for position, item in enumerate(classes)
        if not selection.class_ids or position in selection.named_class_ids
    ]
    if format_name == "yolo" and any(item.type == "polygon" for item in taken):
        return _YOLO_POLYGONS
    lengths = {len(item.skeleton.nodes) for item in taken if item.skeleton}
    if format_name == "yolo_pose" and len(lengths) > 1:
        return _YOLO_POSE_UNEQUAL
    return _FORMATS[format_name]


class _Work:
    """Adds up what becomes of annotations, class by class and shape by shape."""

    def __init__(
        self, rules: _Format, classes: Sequence[DatasetClass], selection: Selection
    ) -> None:
        self.annotation_count = 0
        self.annotations_at_most = False
        self.has_outlines = False
        self._rules = rules
        self._classes = classes
        self._selection = selection
        self._joint_names = {
            node.name for item in classes if item.skeleton for node in item.skeleton.nodes
        }
        self._doubtful = frozenset(selection.joint_class_ids)
        self._losses: dict[tuple[Kind, str], ExpectedLoss] = {}

    def losses(self) -> list[ExpectedLoss]:
        """By kind, then reason."""
        return [loss for _, loss in sorted(self._losses.items())]

    def add(self, found: ShapeTotals) -> None:
        """Counts the annotations of a class and shape."""
        is_sure = found.class_id not in self._doubtful
        self.has_outlines = self.has_outlines or found.shape in _OUTLINES
        count = found.annotation_count
        if found.shape in self._rules.cut:
            count -= found.off_count
            all_stay = self._cut(found, is_sure)
        else:
            all_stay = True
        is_joint = found.shape is Shape.joint and self._rules.merges_joints
        if is_joint:
            self._lose(Kind.degraded, _MISFIT, count, True)
        written = count
        for rule in self._rules_of(found):
            is_certain = is_sure and all_stay and rule.always
            self._lose(rule.kind, rule.reason, count, not is_certain)
            if rule.kind is Kind.dropped and rule.always:
                written = 0
            elif rule.kind is Kind.dropped:
                self.annotations_at_most = True
        if not written:
            return
        if found.shape is Shape.polygon_rings and self._rules.parts_polygons:
            written += found.part_count - found.annotation_count
            self.annotations_at_most = True
        if not is_sure or not all_stay or is_joint:
            self.annotations_at_most = True
        self.annotation_count += written
        self._add_written(found, written, is_sure and all_stay)

    def add_images(self, images: ImageTotals) -> None:
        """Counts what is lost of the images, and of the archive itself."""
        selection, rules = self._selection, self._rules
        images_at_most = selection.is_doubtful and not selection.include_unannotated
        reason = "the name is not safe or not unique"
        self._lose(Kind.renamed, reason, images.renamed_count, images_at_most)
        if rules.flat_names:
            reason = "folders are a part of the file name"
            self._lose(Kind.renamed, reason, images.foldered_count, images_at_most)
        reason = "the image has no annotations"
        self._lose(Kind.unannotated, reason, images.unannotated_count, selection.is_doubtful)
        for reason, count in rules.archive:
            self._lose(Kind.degraded, reason, count if images.image_count else 0, True)

    def _cut(self, found: ShapeTotals, is_sure: bool) -> bool:
        """Counts what the image's edges do; returns whether all of what is left there stays."""
        shape, over = found.shape, found.over_count - found.off_count
        reason = _NO_LINE if shape is Shape.polyline else _NO_AREA
        if shape in POINTS:
            reason = _NO_PLACE
        self._lose(Kind.dropped, reason, found.off_count, not is_sure)
        # Boxes and points are cut as their extent is; of other shapes less may be left.
        all_stay = shape is Shape.bbox or shape in POINTS or not over
        if shape is not Shape.oriented_box or not self._rules.keeps_turned_boxes:
            self._lose(Kind.clamped, _OVER, over, not (is_sure and all_stay))
        if not all_stay:
            self._lose(Kind.dropped, reason, over, True)
        return all_stay

    def _rules_of(self, found: ShapeTotals) -> Rules:
        item = self._classes[found.class_id]
        more: Rules = ()
        if item.skeleton and found.shape in self._rules.of_skeleton_class_shapes:
            more = self._rules.of_skeleton_class
        if found.shape not in POINTS:
            return self._rules.shapes.get(found.shape, ()) + more
        is_lone = item.name not in self._joint_names
        lone = self._rules.lone + more
        if is_lone or lone == self._rules.joint:
            return lone
        return tuple(
            _Rule(rule.kind, rule.reason, always=False) for rule in (*lone, *self._rules.joint)
        )

    def _add_written(self, found: ShapeTotals, written: int, is_certain: bool) -> None:
        name = self._classes[found.class_id].name
        for rule in self._rules.written:
            self._lose(rule.kind, rule.reason, written, not (rule.always and is_certain))
        rule_of_name = self._rules.class_name_rule
        if rule_of_name and self._rules.class_name(name):
            self._lose(rule_of_name.kind, rule_of_name.reason, written, not is_certain)

    def _lose(self, kind: Kind, reason: str, count: int, at_most: bool) -> None:
        if not count:
            return
        before = self._losses.get((kind, reason))
        if before is not None:
            count, at_most = count + before.count, at_most or before.at_most
        self._losses[kind, reason] = ExpectedLoss(kind, reason, count, at_most)
