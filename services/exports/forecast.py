"""What a format loses of a selection, as far as its totals tell: the loss report before the export.

The rows of the format's loss table (`services/formats`) say what becomes of what; here they
are counted. A test builds an archive in every format and compares.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.catalog.model import DatasetClass
from services.catalog.selection import ImageTotals, Selection, ShapeTotals
from services.catalog.shapes import POINTS, Shape
from services.formats.common.losses import (
    OUTLINES,
    Annotations,
    Archive,
    Classes,
    ClassNames,
    Images,
    Kind,
    Loss,
    MergedJoints,
    OffImage,
    OverEdge,
    Written,
)
from services.formats.registry import FORMATS


@dataclass(frozen=True, slots=True)
class ExpectedLoss:
    """Some annotations or images of a selection, and why a format changes them."""

    kind: Kind
    #: Code and sentence of the row in the format's loss table.
    code: str
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


#: What no total tells.
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
    degraded, dropped) or images (renamed, unannotated; a renamed class counts its annotations), or
    in classes where the sentence speaks of those.
    """
    format_ = FORMATS[format_name]
    taken = [
        item
        for position, item in enumerate(classes)
        if not selection.class_ids or position in selection.named_class_ids
    ]
    work = _Work(format_.losses_of(taken), format_.parts_polygons, classes, taken, selection)
    for found in shapes:
        work.add(found)
    work.add_images(images)
    notes = [format_.note] if format_.note else []
    if work.has_cut_outlines:
        notes.append(_OUTLINE_NOTE)
    return Forecast(
        work.annotation_count, work.annotations_at_most, tuple(work.losses()), tuple(notes)
    )


class _Work:
    """Adds up what becomes of annotations, class by class and shape by shape."""

    def __init__(
        self,
        rows: Sequence[Loss],
        parts_polygons: bool,
        classes: Sequence[DatasetClass],
        taken: Sequence[DatasetClass],
        selection: Selection,
    ) -> None:
        self.annotation_count = 0
        self.annotations_at_most = False
        #: Whether there are polygons, and the format cuts them to their image.
        self.has_cut_outlines = False
        self._rows = rows
        self._merged = [row for row in rows if isinstance(row.when, MergedJoints)]
        self._parts_polygons = parts_polygons
        self._classes = classes
        self._taken = taken
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
        off = self._off(found.shape)
        count, all_stay = found.annotation_count, True
        if off is not None:
            count -= found.off_count
            all_stay = self._cut(found, off, is_sure)
            self.has_cut_outlines = self.has_cut_outlines or found.shape in OUTLINES
        is_merged = found.shape is Shape.joint and bool(self._merged)
        if is_merged:
            for row in self._merged:
                self._lose(row, count, True)
        written = count
        for row, always in self._rows_of(found):
            self._lose(row, count, not (is_sure and all_stay and always))
            if row.kind is Kind.dropped and always:
                written = 0
            elif row.kind is Kind.dropped:
                self.annotations_at_most = True
        if not written:
            return
        if found.shape is Shape.polygon_rings and self._parts_polygons:
            written += found.part_count - found.annotation_count
            self.annotations_at_most = True
        if not is_sure or not all_stay or is_merged:
            self.annotations_at_most = True
        self.annotation_count += written
        self._add_written(found, written, is_sure and all_stay)

    def add_images(self, images: ImageTotals) -> None:
        """Counts what is lost of the images, and of the archive itself."""
        selection = self._selection
        kept_anyway = selection.include_unannotated
        counts = {
            "renamed": (images.renamed_count, selection.is_doubtful and not kept_anyway),
            "foldered": (images.foldered_count, selection.is_doubtful and not kept_anyway),
            "unannotated": (images.unannotated_count, selection.is_doubtful),
        }
        for row in self._rows:
            if isinstance(row.when, Images):
                self._lose(row, *counts[row.when.which])
            elif isinstance(row.when, Classes) and images.image_count:
                self._lose(row, sum(map(row.when.applies, self._taken)), False)
            elif isinstance(row.when, Archive):
                self._lose(row, row.when.most if images.image_count else 0, True)

    def _off(self, shape: Shape) -> Loss | None:
        """What becomes of annotations of a shape with nothing left on their image; None: the
        format cuts none of them."""
        for row in self._rows:
            if isinstance(row.when, OffImage) and shape in row.when.shapes:
                return row
        return None

    def _cut(self, found: ShapeTotals, off: Loss, is_sure: bool) -> bool:
        """Counts what the image's edges do; returns whether all of what is left there stays."""
        shape, over = found.shape, found.over_count - found.off_count
        self._lose(off, found.off_count, not is_sure)
        # Boxes and points are cut as their extent is; of other shapes less may be left.
        all_stay = shape is Shape.bbox or shape in POINTS or not over
        for row in self._rows:
            if isinstance(row.when, OverEdge) and shape in row.when.shapes:
                self._lose(row, over, not (is_sure and all_stay))
        if not all_stay:
            self._lose(off, over, True)
        return all_stay

    def _rows_of(self, found: ShapeTotals) -> Iterator[tuple[Loss, bool]]:
        """What becomes of the annotations that are left, and whether of all of them."""
        item = self._classes[found.class_id]
        is_point = found.shape in POINTS
        is_lone = item.name not in self._joint_names
        for row in self._rows:
            when = row.when
            if not isinstance(when, Annotations) or found.shape not in when.shapes:
                continue
            if when.of_skeleton_class and not item.skeleton:
                continue
            if is_point and is_lone and not when.lone:
                continue
            # Only the annotations tell which joints are in a pose.
            applies_to_all = not is_point or is_lone or (when.lone and when.posed)
            yield row, when.always and applies_to_all

    def _add_written(self, found: ShapeTotals, written: int, is_certain: bool) -> None:
        name = self._classes[found.class_id].name
        for row in self._rows:
            if isinstance(row.when, Written):
                self._lose(row, written, True)
            elif isinstance(row.when, ClassNames) and row.when.matches(name):
                self._lose(row, written, not is_certain)

    def _lose(self, row: Loss, count: int, at_most: bool) -> None:
        if not count:
            return
        reason = row.foreseen or row.sentence
        before = self._losses.get((row.kind, reason))
        if before is not None:
            count, at_most = count + before.count, at_most or before.at_most
        self._losses[row.kind, reason] = ExpectedLoss(row.kind, row.code, reason, count, at_most)
