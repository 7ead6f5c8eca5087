"""COCO documents: their frame around lists of rows, and reading them back."""

from array import array
from collections.abc import Iterator
from typing import Any

import orjson

from services.formats.common.export import ExportInfo
from services.formats.common.writer import Document, Tally

#: Pixels by which rounding may carry a box over the edge.
_SLACK = 1e-6
#: Bytes of rows that are parsed at once.
_SOME = 8 * 1024


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

    Annotations come in the order of their images, so a few bytes an image suffice to know which one
    a row is about.

    Raises:
        ValueError: it breaks off, or a row is about no image or class, or off its image.
    """
    for line in lines:
        if line.endswith(b'"images":['):
            orjson.loads(line + b"]}")
            break
    numbers, widths, heights = array("q"), array("d"), array("d")
    for rows in _rows(lines, b'],"annotations":['):
        numbers.extend([row["id"] for row in rows])
        widths.extend([row["width"] + _SLACK for row in rows])
        heights.extend([row["height"] + _SLACK for row in rows])
    places = iter(zip(numbers, widths, heights, strict=True))
    image, right, bottom = None, 0.0, 0.0
    count, least = 0, -_SLACK
    for rows in _rows(lines, b"]}"):
        count += len(rows)
        # The hottest loop of all that reads: whatever it calls takes as long as itself.
        for row in rows:
            number = row["image_id"]
            if number != image:
                for place in places:
                    if place[0] == number:
                        image, right, bottom = place
                        break
                else:
                    raise ValueError(f"annotation {row['id']} is about no image in order")
            if not 1 <= row["category_id"] <= class_count:
                raise ValueError(f"annotation {row['id']} has no known category")
            x, y, w, h = row["bbox"]
            if not (x >= least <= y and w >= 0 <= h and x + w <= right and y + h <= bottom):
                raise ValueError(f"the box of annotation {row['id']} is off the image")
    return Tally(len(numbers), count)


def _rows(lines: Iterator[bytes], end: bytes) -> Iterator[list[dict[str, Any]]]:
    """Rows of a section, which `end` ends, some at a time: one by one, calls take as long as they;
    all at once, what lives does not stay in the processor's caches."""
    some = bytearray(b"[")
    for line in lines:
        if line == end:
            some += b"]"
            yield orjson.loads(some)
            return
        some += line
        if len(some) >= _SOME and line.endswith(b","):
            some[-1:] = b"]"
            yield orjson.loads(some)
            some = bytearray(b"[")
    raise ValueError("it breaks off")
