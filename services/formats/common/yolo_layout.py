"""What the YOLO formats of Ultralytics share: where files lie, `data.yaml`, label files.

Layout: https://docs.ultralytics.com/datasets/. With splits in the layout of Roboflow,
`train/images/` beside `train/labels/`, else `images/train/` beside `labels/train/`; both are
read by Ultralytics, Datumaro and supervision. The readers other than Ultralytics take no
folders below these, so a dataset's folders become a part of the file names.

- `data.yaml` has no `path`, which makes its own folder the root. `train` and `val` must name
  folders that exist: a split without images is replaced by one that has some, and reported.
- A label file pairs with its image by stem; an image without annotations has an empty one.
- Coordinates are parts of the image's width and height, in so many digits that none is off by
  a ten-thousandth of a pixel, from 0 to 1: readers refuse a whole image for one number beyond.
- Ultralytics takes equal rows of a file once, so they are written once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar, TypeAlias

import orjson
import yaml

from services.catalog.names import split_extension
from services.formats.common.export import SPLIT_FOLDERS, ExportImage, ExportInfo
from services.formats.common.flat_names import flat_name, flat_stem, report_flat_name
from services.formats.common.geometry import Box, Point
from services.formats.common.kinds import AREAS, of_kinds
from services.formats.common.loss_report import LossReport
from services.formats.common.objects import Object, objects, report_unheld
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.common.yolo_losses import (
    IMAGE_EXTENSION,
    IMAGE_IS_GIF,
    IMAGE_TOO_SMALL,
    ROW_FLAT,
    ROW_TWICE,
    SPLIT_EMPTY,
)

DATA_PATH = "data.yaml"
#: Ultralytics refuses images with a shorter side, in pixels.
_LEAST_SIDE = 10
#: What names must end in for all its versions (`IMG_FORMATS` in `ultralytics/data/utils.py`).
_EXTENSIONS = frozenset(
    (".bmp", ".dng", ".heic", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
)


#: Makes the numbers of an object's row, after its class id; None where it has no row.
RowWriter: TypeAlias = Callable[[Object, ExportImage, LossReport], list[float] | None]
#: Raises ValueError where the numbers after a class id are no row.
RowCheck: TypeAlias = Callable[[Sequence[float]], None]


class YoloLayout(ABC):
    """A YOLO format; each of them says what its rows are."""

    #: The types of annotations that have a row.
    kinds: ClassVar[frozenset[str]] = AREAS
    #: Whether corners of a row may lie off the image.
    may_leave_image: ClassVar[bool] = False

    @abstractmethod
    def row_writer(self, info: ExportInfo) -> RowWriter:
        """What makes the rows of the export."""

    @abstractmethod
    def row_check(self, info: ExportInfo) -> RowCheck:
        """What a row of the export must be."""

    @abstractmethod
    def task(self, info: ExportInfo) -> str:
        """What Ultralytics calls the task."""

    def settings(self, info: ExportInfo) -> list[str]:
        """Lines of data.yaml that only this format has."""
        return []

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<split>/<name>`, or `<split>/images/<name>` where the export has splits."""
        return f"{_folder(image.split, info, 'images')}/{flat_name(image)}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`labels/<split>/<stem>.txt`, or `<split>/labels/<stem>.txt`."""
        return (f"{_folder(image.split, info, 'labels')}/{flat_stem(image)}.txt",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        split = "<train|valid|test>/{}" if info.organize_by_split else "{}/<train|val|test>"
        return (
            f"data.yaml                   splits and class names, for Ultralytics (task: "
            f"{self.task(info)})\n"
            f"{split.format('labels')}/<name>.txt   a row for each object\n"
            f"{split.format('images')}/<name>       the image files\n"
            "A split without images is replaced in data.yaml by one that has some.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """`data.yaml`."""

        def ending(split_counts: Mapping[str, int]) -> tuple[bytes, LossReport]:
            return self._data_yaml(info, split_counts)

        return [Document(DATA_PATH, (), (b"",), ending=ending)]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's label file."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        losses = rendered.losses
        report_flat_name(image, losses)
        _report_refused(image, losses)
        rows: dict[str, None] = {}
        write = self.row_writer(info)
        # Of one number; all of a row at once take a third of the time of one by one.
        template = f" %.{digits_of(image)}f"
        for item in objects(image, info, of_kinds(selected, self.kinds, losses), losses):
            numbers = write(item, image, losses)
            if numbers is None:
                continue
            row = f"{item.class_id}{template * len(numbers) % tuple(numbers)}"
            if row in rows:
                losses.add(ROW_TWICE, item.id)
            else:
                report_unheld(item, losses)
            rows[row] = None
        rendered.annotation_count = len(rows)
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, "".join(f"{row}\n" for row in rows).encode()))
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """A label file is an image; each of its rows is an annotation."""
        class_count = len(info.selected_classes)
        if path == DATA_PATH:
            value = yaml.safe_load(b"\n".join(lines))
            if list(value["names"].values()) != [c.name for c in info.selected_classes]:
                raise ValueError("its names are not the classes of the export")
            if not value["train"] or not value["val"] or value["nc"] != class_count:
                raise ValueError("it needs `train`, `val` and the number of classes")
            return Tally()
        check, count = self.row_check(info), 0
        for line in filter(None, lines):
            class_id, *numbers = line.split(b" ")
            if not 0 <= int(class_id) < class_count:
                raise ValueError(f"there is no class {class_id.decode()}")
            count += 1
            if b"e" in line or (b"-" in line and not self.may_leave_image):
                raise ValueError(f"row {count} has a number that readers refuse")
            check(list(map(float, numbers)))
        return Tally(1, count)

    def _data_yaml(
        self, info: ExportInfo, split_counts: Mapping[str, int]
    ) -> tuple[bytes, LossReport]:
        losses = LossReport()
        there = [split for split in SPLIT_FOLDERS if split_counts.get(split)]
        lines = []
        for split in ("train", "val"):
            found = split if split in there or not there else there[0]
            if found != split:
                losses.add(SPLIT_EMPTY, DATA_PATH, split=split, found=found)
            lines.append(f"{split}: {_folder(found, info, 'images')}")
        if "test" in there:
            lines.append(f"test: {_folder('test', info, 'images')}")
        classes = info.selected_classes
        lines += [f"nc: {len(classes)}", "names:" if classes else "names: {}"]
        lines += [f"  {number}: {quoted(c.name)}" for number, c in enumerate(classes)]
        lines += self.settings(info)
        return "\n".join([*lines, ""]).encode(), losses


def parts(points: Iterable[Point], image: ExportImage) -> list[float]:
    """x and y in turn, as parts of the image's width and height."""
    width, height = image.width, image.height
    return _within([part for x, y in points for part in (x / width, y / height)])


def box_parts(box: Box, image: ExportImage) -> list[float]:
    """Centre, width and height of a box on the image, as parts of the image's."""
    x, y, w, h = box
    width, height = image.width, image.height
    return _within([(x + w / 2) / width, (y + h / 2) / height, w / width, h / height])


def _within(found: list[float]) -> list[float]:
    """The parts, moved to 0 or 1 where they are beyond; most are not."""
    # A zero may be negative.
    if min(found) <= 0.0 or max(found) > 1.0:
        return [min(max(0.0, part), 1.0) for part in found]
    return found


def digits_of(image: ExportImage) -> int:
    """Digits after the point of a label's numbers: rounding moves no corner of a box, whose
    centre and sides are rounded, by more than a ten-thousandth of a pixel."""
    return _digits(max(image.width, image.height))


@lru_cache(maxsize=64)
def _digits(side: int) -> int:
    return max(6, len(str(15_000 * side)))


@lru_cache(maxsize=64)
def _least(side: int) -> float:
    return float(10.0 ** -_digits(side))


def has_extent(
    numbers: Sequence[float], item: Object, image: ExportImage, losses: LossReport
) -> bool:
    """Whether a ring of parts still has an extent in the digits that are written."""
    sides = [max(axis) - min(axis) for axis in (numbers[::2], numbers[1::2])]
    if is_flat(sides, image):
        report_flat(item, losses)
        return False
    return True


def is_flat(sides: Sequence[float], image: ExportImage) -> bool:
    """Whether a side is less than the last digit that is written."""
    return min(sides) < _least(max(image.width, image.height))


def report_flat(item: Object, losses: LossReport) -> None:
    """Reports an object that would have no extent in the digits that are written."""
    losses.add(ROW_FLAT, item.id)


def in_range(numbers: Sequence[float]) -> None:
    """Raises:
    ValueError: a number is not between 0 and 1.
    """
    # What is no number makes the sum none, wherever it stands.
    if numbers and not (min(numbers) >= 0 and max(numbers) <= 1 and sum(numbers) >= 0):
        raise ValueError("a coordinate is not between 0 and 1")


def quoted(text: str) -> str:
    """A text in YAML that no reader takes for something else (`no`, `1e3`)."""
    plain = orjson.dumps(text).decode()
    # JSON's escapes are YAML's; what YAML forbids beyond them gets one too.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in plain)


def _folder(split: str | None, info: ExportInfo, kind: str) -> str:
    split = split or "train"
    return f"{SPLIT_FOLDERS[split]}{kind}" if info.organize_by_split else f"{kind}/{split}"


def _report_refused(image: ExportImage, losses: LossReport) -> None:
    if min(image.width, image.height) < _LEAST_SIDE:
        losses.add(IMAGE_TOO_SMALL, image.id)
    extension = split_extension(image.name)[1].lower()
    if extension == ".gif":
        losses.add(IMAGE_IS_GIF, image.id)
    elif extension not in _EXTENSIONS:
        losses.add(IMAGE_EXTENSION, image.id)
