"""What is known of an export format without loading what writes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from services.catalog.model import DatasetClass
from services.formats.common.losses import NO_SUPERCATEGORY, OF_IMAGES, Classes, Loss

if TYPE_CHECKING:
    from services.formats.common.finder import Reader
    from services.formats.common.loss_report import LossReport
    from services.formats.common.writer import Writer


@dataclass(frozen=True, slots=True)
class TextSize:
    """What a format writes, deflated, as measured on real boxes, outlines and keypoints."""

    #: Bytes an image without annotations.
    image: float
    #: Bytes for each byte of its annotations as the catalog stores them.
    annotations: float
    #: Bytes for each annotation, where the format writes a few numbers of any shape.
    annotation: float = 0.0
    #: Files for each image.
    files: int = 1


@dataclass(frozen=True)
class ExportFormat:
    """One export format. Its folder holds `writer.py` and, where it is imported, `reader.py`."""

    name: str
    #: What it is, and what it cannot hold: a phrase each, in Markdown.
    description: str
    cannot_hold: str
    #: Version of the layout; it stands in the manifest and changes with the layout.
    layout_version: int
    #: Id of the first class in the archive's files; the others follow in class order.
    first_class_id: int
    text_size: TextSize
    #: The format's own rows, and those it shares; `OF_IMAGES` come on top.
    losses: tuple[Loss, ...]
    #: The rings of a polygon may become annotations of their own.
    parts_polygons: bool = False
    #: The supercategory of a class has a place.
    has_supercategories: bool = False
    #: A sentence for people: what only the export itself finds out.
    note: str = ""
    #: Whether `cartouche import` reads it.
    is_imported: bool = False

    @cached_property
    def writer(self) -> "Writer":
        """What makes the archive's text; loaded at first use."""
        writer: Writer = import_module(f"services.formats.{self.name}.writer").WRITER
        return writer

    @cached_property
    def reader(self) -> "Reader":
        """What reads a dataset of this format, where `is_imported`; loaded at first use."""
        reader: Reader = import_module(f"services.formats.{self.name}.reader").read
        return reader

    def losses_of(self, classes: Sequence[DatasetClass]) -> tuple[Loss, ...]:
        """The loss table of an archive of these classes."""
        rows = (*self.losses, *OF_IMAGES)
        if not self.has_supercategories:
            rows = (*rows, NO_SUPERCATEGORY)
        return tuple(row for row in rows if row.among is None or row.among(classes))

    def report_classes(self, classes: Sequence[DatasetClass], losses: "LossReport") -> None:
        """Reports what an archive of these classes loses of the classes themselves."""
        for row in self.losses_of(classes):
            if isinstance(row.when, Classes):
                for item in filter(row.when.applies, classes):
                    losses.add(row, item.name)
