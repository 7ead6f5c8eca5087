"""COCO documents: their frame around lists of rows, and reading them back."""

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from services.formats.common.export import ExportInfo
from services.formats.common.writer import Document, Tally

#: Pixels by which rounding may carry a box over the edge.
_SLACK = 1e-6


def coco_document(path: str, info: ExportInfo, categories: list[dict[str, Any]]) -> Document:
    """A document of the sections `images` and `annotations`."""
    head = orjson.dumps(
        {
            "info": {"description": info.dataset_name},
            "licenses": [],
            "categories": categories,
        }
    )
    return Document(
        path,
        ("images", "annotations"),
        (head[:-1] + b',"images":[\n', b'\n],"annotations":[\n', b"\n]}\n"),
    )


def read_coco(lines: Iterator[bytes], class_count: int) -> Tally:
    """Images and annotations of a document, whose rows stand on lines of their own.

    Raises:
        ValueError: it breaks off, or a row is about no image or class, or off its image.
    """
    check = _Check(class_count)
    section = ""
    for line in lines:
        if line.endswith(b'"images":['):
            orjson.loads(line + b"]}")
            section = "images"
        elif line == b'],"annotations":[':
            section = "annotations"
        elif line == b"]}":
            section = "end"
        elif line and section == "images":
            check.image(orjson.loads(line.removesuffix(b",")))
        elif line:
            check.annotation(orjson.loads(line.removesuffix(b",")))
    if section != "end":
        raise ValueError("it breaks off")
    return Tally(len(check.numbers), check.annotation_count)


class _Check:
    """Follows the rows of a document. Annotations come in the order of their images, so a few
    bytes an image suffice to know which one a row is about."""

    def __init__(self, class_count: int) -> None:
        self.class_count = class_count
        self.numbers = array("q")
        self.widths = array("l")
        self.heights = array("l")
        self.annotation_count = 0
        self._position = 0

    def image(self, row: Mapping[str, Any]) -> None:
        self.numbers.append(row["id"])
        self.widths.append(row["width"])
        self.heights.append(row["height"])

    def annotation(self, row: Mapping[str, Any]) -> None:
        """Raises:
        ValueError: the row is about no image or class of the document, or off the image.
        """
        number, position = row["image_id"], self._position
        while position < len(self.numbers) and self.numbers[position] != number:
            position += 1
        if position == len(self.numbers):
            raise ValueError(f"annotation {row['id']} is about no image in order")
        if not 1 <= row["category_id"] <= self.class_count:
            raise ValueError(f"annotation {row['id']} has no known category")
        x, y, w, h = row["bbox"]
        if not (
            x >= -_SLACK
            and y >= -_SLACK
            and w >= 0
            and h >= 0
            and x + w <= self.widths[position] + _SLACK
            and y + h <= self.heights[position] + _SLACK
        ):
            raise ValueError(f"the box of annotation {row['id']} is off the image")
        self._position = position
        self.annotation_count += 1
