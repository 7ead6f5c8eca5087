"""CSV: one line per annotation, for spreadsheets and pandas.

There is no standard for the columns; these hold every annotation as it came in. The syntax is
RFC 4180 with CR LF, UTF-8 without a byte order mark, dots in numbers. With splits, each of
`train/`, `valid/` and `test/` has a file of its own.

The box columns are the box around the shape, cut to the image; keypoints have none. The
column `geometry` is the shape as it came in, as JSON. An image without annotations has one line
that is empty from `annotation_id` on.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.geometry import TOLERANCE
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import NO_CLASS
from services.formats.common.shapes import Joint, place
from services.formats.common.writer import Document, Rendered, Tally
from services.formats.csv.losses import FORMULA, FORMULA_QUOTED

COLUMNS = (
    "image_id",
    "file_name",
    "split",
    "width",
    "height",
    "annotation_id",
    "class",
    "class_id",
    "type",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    "geometry",
    "instance_id",
    "rotation",
    "confidence",
    "attributes",
)
_END = "\r\n"
_GEOMETRIES = ("bounding_box", "oriented_box", "polygon", "polyline", "keypoint")
_NEEDS_QUOTES = re.compile('[",\r\n]')
#: A field, quoted or bare, and the comma or end after it.
_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r\n$)')


class Csv:
    """`annotations.csv`, `images/<name>`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`images/<name>`, under the split's folder where the export has them."""
        return f"{image.folder(info)}images/{image.name}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """None: all text is in documents."""
        return ()

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        return "".join(
            f"{folder}annotations.csv   one line per annotation; file_name counts from its folder\n"
            f"{folder}images/<name>   the image files\n"
            for folder in info.folders
        ) + (
            "Boxes are pixels from the top-left corner, cut to the image; geometry is the shape\n"
            "as it came in, as JSON. An image without annotations has a line of its own, which\n"
            "is empty from annotation_id on.\n"
            "An apostrophe stands before text that a spreadsheet would take for a formula.\n"
            "Long polygons need csv.field_size_limit in Python's csv module; pandas has no limit.\n"
        )

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """One for each top folder."""
        head = f"{','.join(COLUMNS)}{_END}".encode()
        return [
            # Rows end themselves: without any, there is no empty line.
            Document(f"{folder}annotations.csv", ("rows",), (head, b""), separator=b"")
            for folder in info.folders
        ]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """A row for each annotation, or one for the image."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        ids = info.class_ids
        head = (
            f"{_text(image.id)},{_text(f'images/{image.name}')},{image.split or ''},"
            f"{image.width},{image.height}"
        )
        rows: list[bytes] = []
        for _, annotation in selected:
            fields = _fields(annotation, image, ids, rendered.losses)
            if fields is not None:
                rows.append(f"{head},{','.join(fields)}{_END}".encode())
        rendered.annotation_count = len(rows)
        if not rows:
            rows.append(f"{head}{',' * (len(COLUMNS) - 5)}{_END}".encode())
        rendered.rows[f"{image.folder(info)}annotations.csv", "rows"] = rows
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """The rows of an image follow one another."""
        records = _records(lines)
        if tuple(next(records, ())) != COLUMNS:
            raise ValueError("its first line does not name the columns")
        image_count = annotation_count = 0
        last = None
        for fields in records:
            row = dict(zip(COLUMNS, fields, strict=True))
            if row["file_name"] != last:
                image_count += 1
                last = row["file_name"]
            if row["type"]:
                annotation_count += 1
                _check(row, len(info.selected_classes))
        return Tally(image_count, annotation_count)


def _fields(
    annotation: dict[str, Any], image: ExportImage, ids: Mapping[str, int], losses: LossReport
) -> list[str] | None:
    """The fields of an annotation; None where it has no place on the image."""
    name, item = annotation["name"], annotation["id"]
    # A joint goes by its own name, whatever the class of its object.
    if name not in ids and annotation["type"] != "keypoint":
        losses.add(NO_CLASS, item)
        return None
    placed = place(annotation, image, losses)
    if placed is None:
        return None
    box: list[Any] = ["", "", "", ""]
    if not isinstance(placed[0], Joint):
        x, y, w, h = placed[0].bounds
        box = [x, y, x + w, y + h]
    geometry = {key: annotation[key] for key in _GEOMETRIES if annotation.get(key) is not None}
    oriented = annotation.get("oriented_box") or {}
    instance = annotation.get("instance_id")
    texts = _text(item), _text(name)
    if texts != (_quoted(item), _quoted(name)):
        losses.add(FORMULA_QUOTED, item)
    return [
        *texts,
        str(ids.get(name, "")),
        annotation["type"],
        *map(str, box),
        _quoted(orjson.dumps(geometry).decode()),
        "" if instance is None else str(instance),
        str(oriented.get("angle", "")),
        str(annotation.get("confidence", 1.0)),
        _quoted(orjson.dumps(annotation.get("attributes") or []).decode()),
    ]


def _text(value: str) -> str:
    """A field of text that no spreadsheet takes for a formula; NUL, which many readers take
    for the end, is left out."""
    value = value.replace("\0", "")
    return _quoted(f"'{value}" if value.startswith(FORMULA) else value)


def _quoted(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _records(lines: Iterator[bytes]) -> Iterator[list[str]]:
    """The records of a file: lines end within quotes too.

    Raises:
        ValueError: the file is not CSV.
    """
    waiting: list[bytes] = []
    quotes = 0
    for line in lines:
        waiting.append(line)
        quotes += line.count(b'"')
        if quotes % 2 or not line:
            continue
        text = b"\n".join(waiting).decode() + "\n"
        waiting, quotes, place, fields = [], 0, 0, []
        while place < len(text):
            match = _FIELD.match(text, place)
            if match is None:
                raise ValueError(f"a line is not CSV at its character {place + 1}")
            quoted, bare, _ = match.groups()
            fields.append(bare if quoted is None else quoted.replace('""', '"'))
            place = match.end()
        yield fields
    if any(waiting):
        raise ValueError("it breaks off")


def _check(row: dict[str, str], class_count: int) -> None:
    """Raises:
    ValueError: the row has no class of the archive, or lies off the image.
    """
    is_joint = row["type"] == "keypoint"
    if not (is_joint and not row["class_id"]) and not 0 <= int(row["class_id"]) < class_count:
        raise ValueError(f"a row has the class id {row['class_id']}")
    if not is_joint:
        x0, y0, x1, y1 = (float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax"))
        width, height = int(row["width"]) + TOLERANCE, int(row["height"]) + TOLERANCE
        if not (0 <= x0 <= x1 <= width and 0 <= y0 <= y1 <= height):
            raise ValueError(f"a box {x0},{y0},{x1},{y1} is not on the image")
    orjson.loads(row["geometry"])
    orjson.loads(row["attributes"])


WRITER = Csv()
