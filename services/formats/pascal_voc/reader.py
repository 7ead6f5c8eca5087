"""Pascal VOC: one XML file per image.

Format: PASCAL VOC 2012 development kit, 2.5; `robndbox` as roLabelImg writes it. Corners
are taken as they stand, without the shift by one that some readers apply: xmin is the left
edge, xmax the right one. A rotated box (centre, sides, radians clockwise) becomes an
oriented box. `difficult`, `truncated` and `occluded` become attributes where they are set,
`pose` where it is given.
"""

import math
import posixpath
from collections.abc import Iterator
from pathlib import Path
from posixpath import splitext
from typing import Any
from xml.etree import ElementTree

from services.catalog.model import DatasetClass
from services.formats.common.source import (
    ImportFailed,
    ImportIssue,
    ImportItem,
    ImportSource,
    annotation_id,
    bbox,
    checked_names,
    class_color,
    has_area,
    oriented_bbox,
)
from services.importing.image_folder import ImageFolder

_FLAGS = ("difficult", "truncated", "occluded")


def read(images: ImageFolder, annotations: Path) -> ImportSource:
    """Reads every XML file below the folder `annotations`.

    Classes come in the order of `labelmap.txt` beside or above that folder, where there is
    one, then in the order in which the sorted files name them.

    Raises:
        ImportFailed: there is no XML file, or one is not an annotation.
    """
    if not annotations.is_dir():
        raise ImportFailed(f"{annotations} is no folder; give the folder of the XML files.")
    files = sorted(annotations.rglob("*.xml"))
    if not files:
        raise ImportFailed(f"{annotations} holds no XML file; give the folder of the XML files.")
    classes = _labelmap(annotations)
    issues = list(images.issues)
    found: dict[str, Path] = {}
    for file in files:
        root = _parse(file)
        where = file.relative_to(annotations).as_posix()
        path = _image_of(where, root, images)
        if path is None:
            issues.append(
                ImportIssue(where, "IMAGE_FILE_MISSING", f"no such image below {images.root}")
            )
            continue
        if path in found:
            issues.append(
                ImportIssue(where, "IMAGE_LISTED_TWICE", f"{found[path]} is of {path} too; skipped")
            )
            continue
        found[path] = file
        for thing in root.iterfind("object"):
            name = _text(thing, "name")
            if name and name not in classes:
                classes[name] = ""
    checked_names(list(classes), str(annotations))
    return ImportSource(
        classes=[
            DatasetClass(name, "bbox", color or class_color(index))
            for index, (name, color) in enumerate(classes.items())
        ],
        paths=images.paths,
        load=lambda path: _item(path, images.file(path), found.get(path)),
        issues=issues,
    )


def _labelmap(annotations: Path) -> dict[str, str]:
    """Class names with their colours from the labelmap.txt that Datumaro and CVAT write."""
    for folder in (annotations, annotations.parent):
        file = folder / "labelmap.txt"
        if not file.is_file():
            continue
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ImportFailed(f"{file} is not UTF-8; save it as UTF-8.") from None
        rows = [line.split(":") for line in lines if line.strip() and not line.startswith("#")]
        # The background is what no object covers, and no class.
        rows = [row for row in rows if row[0].strip() != "background"]
        checked_names([row[0].strip() for row in rows], str(file))
        return {row[0].strip(): _color(row) for row in rows}
    return {}


def _color(row: list[str]) -> str:
    channels = [channel.strip() for channel in row[1].split(",")] if len(row) > 1 else []
    if len(channels) != 3 or not all(c.isdecimal() and int(c) < 256 for c in channels):
        return ""
    return "#" + "".join(f"{int(channel):02x}" for channel in channels)


def _parse(file: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(file).getroot()
    except (ElementTree.ParseError, ValueError, LookupError, OSError) as error:
        raise ImportFailed(f"{file} is not readable XML: {error}. Repair or remove it.") from None
    if root.tag != "annotation":
        raise ImportFailed(f"{file} is no VOC annotation: its root is <{root.tag}>. Remove it.")
    return root


def _image_of(where: str, root: ElementTree.Element, images: ImageFolder) -> str | None:
    """The image of a file: of its own folder and stem and the name in it, of its own stem,
    or the one that it names."""
    named = _text(root, "filename").replace("\\", "/")
    sibling = posixpath.join(posixpath.dirname(where), posixpath.basename(named))
    if sibling in images and splitext(sibling)[0] == splitext(where)[0]:
        return sibling
    found = images.find_stem(splitext(where)[0])
    if found is None and named:
        found = images.find(named) or images.find_stem(named)
    return found


def _item(path: str, file: Path, annotation_file: Path | None) -> ImportItem:
    item = ImportItem(path, file)
    if annotation_file is None:
        item.issues.append(
            ImportIssue(path, "NO_ANNOTATION_FILE", "has no XML file; taken without annotations")
        )
        return item
    for index, thing in enumerate(_parse(annotation_file).iterfind("object"), 1):
        try:
            item.annotations.append(_annotation(path, index, thing))
        except _Skipped as skipped:
            item.issues.append(
                ImportIssue(f"{path}, object {index}", skipped.reason, f"{skipped}; skipped")
            )
        item.issues.extend(_named_losses(path, index, thing))
    return item


def _named_losses(path: str, index: int, thing: ElementTree.Element) -> Iterator[ImportIssue]:
    for tag, reason in (("part", "PART_LEFT_OUT"), ("polygon", "OUTLINE_LEFT_OUT")):
        if thing.find(tag) is not None:
            yield ImportIssue(
                f"{path}, object {index}", reason, f"only the object's box is taken, not its {tag}"
            )


class _Skipped(Exception):
    """Why an object is left out."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _annotation(path: str, index: int, thing: ElementTree.Element) -> dict[str, Any]:
    name = _text(thing, "name")
    if not name:
        raise _Skipped("CLASS_MISSING", "the object has no name")
    identifier = annotation_id(path, "pascal_voc", index)
    rotated, plain = thing.find("robndbox"), thing.find("bndbox")
    if rotated is not None:
        cx, cy, w, h, angle = _numbers(rotated, ("cx", "cy", "w", "h", "angle"))
        _check_area((cx, cy, w, h), f"w is {w:g}, h {h:g}")
        return oriented_bbox(
            identifier, name, (cx, cy), (w, h), math.degrees(angle), _attributes(thing)
        )
    if plain is None:
        raise _Skipped("BOX_MISSING", "the object has neither bndbox nor robndbox")
    xmin, ymin, xmax, ymax = _numbers(plain, ("xmin", "ymin", "xmax", "ymax"))
    box = xmin, ymin, xmax - xmin, ymax - ymin
    _check_area(box, f"xmin is {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g}")
    return bbox(identifier, name, box, _attributes(thing))


def _attributes(thing: ElementTree.Element) -> dict[str, str]:
    attributes = {
        _text(row, "name"): _text(row, "value")
        for row in thing.iterfind("attributes/attribute")
        if _text(row, "name")
    }
    pose = _text(thing, "pose")
    if pose.lower() not in ("", "unspecified"):
        attributes["pose"] = pose
    for flag in _FLAGS:
        value = _text(thing, flag)
        if value.lower() not in ("", "0", "false"):
            attributes[flag] = "true" if value == "1" else value
    return attributes


def _check_area(box: tuple[float, float, float, float], message: str) -> None:
    if not has_area(box):
        raise _Skipped("BOX_WITHOUT_AREA", message)


def _numbers(element: ElementTree.Element, tags: tuple[str, ...]) -> list[float]:
    values = []
    for tag in tags:
        try:
            value = float(_text(element, tag))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _Skipped("BOX_UNREADABLE", f"{tag} is {_text(element, tag)!r}, not a number")
        values.append(value)
    return values


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
