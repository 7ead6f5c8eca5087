"""DOTA: rotated boxes in pixels.

Lines: https://captain-whu.github.io/DOTA/dataset.html, `x1 y1 x2 y2 x3 y3 x4 y4 category
difficult`, clockwise from the top-left corner of the box's own frame. The two header lines
of the original files are left out: mmrotate reads every line as a box, and Datumaro skips
what is none. `difficult` is 1 where the attribute of that name says so.

Readers part lines at blanks, so a category is the class name with `-` for them;
`categories.json` maps categories to classes. Boxes without an angle, and polygons by the
smallest rectangle around them, are rotated boxes too; polylines and keypoints have no line.
Such a rectangle may reach over the image's edge, as boxes do in the tiles of DOTA itself: its
corners stay where they are, which mmrotate and Datumaro take.
"""

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import orjson

from services.formats.common.export import ExportImage, ExportInfo
from services.formats.common.flat_names import flat_name, flat_stem, report_flat_name
from services.formats.common.geometry import flat, rounded
from services.formats.common.kinds import AREAS, of_kinds
from services.formats.common.objects import objects, report_unheld
from services.formats.common.oriented import oriented_box
from services.formats.common.writer import Document, Rendered, Tally

_CATEGORIES = "categories.json"
#: Digits after the point, of a pixel.
_DIGITS = 5
_CORNERS = " ".join([f"%.{_DIGITS}f"] * 8)
_YES = frozenset({"true", "1", "yes", "y", "t", "difficult"})


class Dota:
    """`<split>/images/<name>`, `<split>/labelTxt/<name>.txt`."""

    def image_path(self, image: ExportImage, info: ExportInfo) -> str:
        """`<split>/images/<name>`; the split is `default` where the export has none."""
        return f"{_folder(image, info)}images/{flat_name(image)}"

    def file_paths(self, image: ExportImage, info: ExportInfo) -> Sequence[str]:
        """`<split>/labelTxt/<stem>.txt`."""
        return (f"{_folder(image, info)}labelTxt/{flat_stem(image)}.txt",)

    def layout(self, info: ExportInfo) -> str:
        """What the README says."""
        folder = "<train|valid|test>" if info.organize_by_split else "default"
        lines = [
            f"{folder}/labelTxt/<name>.txt   x1 y1 x2 y2 x3 y3 x4 y4 category difficult",
            f"{folder}/images/<name>         the image files",
            f"{_CATEGORIES}               the class of each category",
            "mmrotate looks for PNG images unless its img_suffix says otherwise.",
        ]
        renamed = {name: text for name, text in categories(info).items() if name != text}
        lines += [f"The class {name!r} is the category {text}." for name, text in renamed.items()]
        return "\n".join(lines) + "\n"

    def documents(self, info: ExportInfo) -> Sequence[Document]:
        """`categories.json`."""
        value = [
            {"category": category, "class": name, "id": number}
            for number, (name, category) in enumerate(categories(info).items())
        ]
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        return [Document(_CATEGORIES, (), (text,))]

    def render(self, image: ExportImage, info: ExportInfo) -> Rendered:
        """The image's label file; an empty one where it has no annotations."""
        selected = image.selected(info)
        rendered = Rendered.start(image, len(selected))
        report_flat_name(image, rendered.losses)
        names = info.once(categories)
        taken = of_kinds(selected, AREAS, rendered.losses)
        lines = []
        for item in objects(image, info, taken, rendered.losses):
            box = oriented_box(item, image, rendered.losses)
            if box is not None:
                corners = _CORNERS % tuple(rounded(flat(box.corners()), _DIGITS))
                difficult = int(_is_difficult(item.attributes))
                report_unheld(item, rendered.losses, "difficult")
                lines.append(f"{corners} {names[item.class_name]} {difficult}\n")
        rendered.annotation_count = len(lines)
        (path,) = self.file_paths(image, info)
        rendered.files.append((path, "".join(lines).encode()))
        return rendered

    def read(self, path: str, lines: Iterator[bytes], info: ExportInfo) -> Tally:
        """A label file is an image; each of its lines is an annotation."""
        known = info.once(_known)
        if path == _CATEGORIES:
            if {row["category"] for row in orjson.loads(b"\n".join(lines))} != known:
                raise ValueError("its categories are not the classes of the export")
            return Tally()
        count = 0
        for line in filter(None, lines):
            count += 1
            *numbers, category, difficult = line.decode().split()
            if len(numbers) != 8 or not all(map(isfinite, map(float, numbers))):
                raise ValueError(f"line {count} has no four corners")
            if category not in known or difficult not in ("0", "1"):
                raise ValueError(f"line {count} has no category or no difficulty")
        return Tally(1, count)


def categories(info: ExportInfo) -> dict[str, str]:
    """The category of each class of the export: its name, with `-` for blanks; where another
    class has that too, the position of the class follows."""
    found: dict[str, str] = {}
    taken = {c.name for c in info.selected_classes if c.name.split() == [c.name]}
    for position, c in enumerate(info.selected_classes):
        category = c.name
        if category not in taken:
            category = "-".join(c.name.split())
            while category in taken:
                category += f"-{position}"
            taken.add(category)
        found[c.name] = category
    return found


def _known(info: ExportInfo) -> frozenset[str]:
    return frozenset(info.once(categories).values())


def _folder(image: ExportImage, info: ExportInfo) -> str:
    return image.folder(info) or "default/"


def _is_difficult(attributes: dict[str, Any]) -> bool:
    return str(attributes.get("difficult")).strip().lower() in _YES


WRITER = Dota()
