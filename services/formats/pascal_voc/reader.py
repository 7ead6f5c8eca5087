"""Pascal VOC: one XML file per image.

Format: PASCAL VOC 2012 development kit, 2.5; `robndbox` as roLabelImg writes it. Corners
are taken as they stand, without the shift by one that some readers apply: xmin is the left
edge, xmax the right one. A rotated box (centre, sides, radians clockwise) becomes an
oriented box. `difficult`, `truncated` and `occluded` become attributes where they are set,
`pose` where it is given, and any other text of an object.
"""

import math
import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from posixpath import splitext
from typing import Any
from xml.etree import ElementTree

from services.catalog.annotations import MAX_NAME
from services.catalog.model import DatasetClass
from services.catalog.names import folded
from services.formats.common.annotations import (
    annotation_id,
    are_parts,
    bbox,
    has_area,
    number_of,
    oriented_bbox,
)
from services.formats.common.class_list import checked_names, class_color, is_class_name
from services.formats.common.declared_size import declared, no_size
from services.formats.common.finder import Annotations, ImageFinder, SourceFile, SourceFolder
from services.formats.common.plain_values import shown
from services.formats.common.source import (
    ImportFailed,
    ImportIssue,
    Skipped,
    SourceDataset,
    SourceImage,
)
from services.formats.common.source_files import annotation_files, text_of, without_annotations
from services.formats.common.split_names import (
    SPLIT_WORDS,
    named_by_folder,
    splits_by_folder,
)
from services.formats.common.xml_document import XmlUnreadable, read_xml
from services.formats.pascal_voc.fields import LeftOutFields, attributes_of, stray_objects

_MASKS = frozenset(("SegmentationClass", "SegmentationObject"))
_FLAG = re.compile(r"\s+-?[01]$")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(images: ImageFinder, annotations: Annotations) -> SourceDataset[SourceImage]:
    """Reads every XML file below the folder `annotations`.

    Classes come in the order of `labelmap.txt` beside or above that folder, where there is
    one, then in the order in which the sorted files name them.

    Raises:
        ImportFailed: there is no XML file, or none is an annotation.
    """
    files = annotation_files(annotations, "XML")
    classes = _labelmap(annotations.folder)
    issues = list(images.issues)
    found: dict[str, SourceFile] = {}
    passed_over: set[str] = set()
    fields = LeftOutFields()
    first_problem = ""
    for file in files:
        where = file.where
        try:
            root = _parse(file)
        except XmlUnreadable as error:
            first_problem = first_problem or f"{file} {error}."
            path = images.find_stem(splitext(where)[0], file.folder)
            passed_over.update(filter(None, (path,)))
            message = f"{error}; its image is passed over" if path else f"{error}; left out"
            issues.append(
                ImportIssue(where, "XML_UNREADABLE", message, images=_is_left_out(path, error))
            )
            continue
        path = _image_of(file, root, images)
        if path is None:
            count = _count(root)
            names = splitext(where)[0], _text(root, "filename")
            issues.append(images.missing(where, names, count, "objects"))
            continue
        if path in found:
            count = _count(root)
            message = f"{found[path]} is of {path} too; skipped with {count} objects"
            issues.append(ImportIssue(where, "IMAGE_LISTED_TWICE", message, annotations=count))
            continue
        found[path] = file
        named = _text(root, "filename")
        differs = folded(_stem(named)) != folded(_stem(path))
        if named and differs and (other := images.find(named)) not in (None, path):
            message = f"names {other}, which is there; taken for {path}, as the file is called"
            issues.append(ImportIssue(where, "NAME_DIFFERS", message))
        fields.add(root)
        for thing in root.iterfind("object"):
            name = _text(thing, "name")
            if is_class_name(name):
                classes.setdefault(name, "")
    if first_problem and not found:
        raise ImportFailed(first_problem)
    listed = _listed_splits(annotations.folder, images, found, issues)
    splits = listed or splits_by_folder(images.paths)
    issues += [] if listed else named_by_folder(splits, images.folder)
    paths = [path for path in images.paths if not _is_mask(path)]
    if len(paths) < len(images.paths):
        message = f"{len(images.paths) - len(paths):,} pictures of masks are no images; left out"
        issues.append(ImportIssue(str(images.folder), "MASKS_LEFT_OUT", message))
    checked_names(list(classes), str(annotations))
    return SourceDataset(
        classes=[
            DatasetClass(name, "bbox", color or class_color(index))
            for index, (name, color) in enumerate(classes.items())
        ],
        paths=[path for path in paths if path in found or path not in passed_over],
        load=lambda path: replace(
            _image(path, found[path]) if path in found else without_annotations(path, "XML"),
            split=splits.get(path),
        ),
        issues=[*issues, *fields.issues()],
    )


def _labelmap(annotations: SourceFolder) -> dict[str, str]:
    """Class names with their colours from the labelmap.txt that Datumaro and CVAT write."""
    file = annotations.file("labelmap.txt") or annotations.parent.file("labelmap.txt")
    if file is None:
        return {}
    lines = text_of(file).splitlines()
    rows = [line.split(":") for line in lines if line.strip() and not line.startswith("#")]
    # The background is what no object covers, and no class.
    rows = [row for row in rows if row[0].strip() != "background"]
    checked_names([row[0].strip() for row in rows], str(file))
    return {row[0].strip(): _color(row) for row in rows}


def _color(row: list[str]) -> str:
    channels = [channel.strip() for channel in row[1].split(",")] if len(row) > 1 else []
    if len(channels) != 3 or not all(
        c.isdecimal() and len(c) < 4 and int(c) < 256 for c in channels
    ):
        return ""
    return "#" + "".join(f"{int(channel):02x}" for channel in channels)


def _listed_splits(
    annotations: SourceFolder,
    images: ImageFinder,
    files: dict[str, SourceFile],
    issues: list[ImportIssue],
) -> dict[str, str]:
    """The splits of images as `ImageSets/Main` in, beside or below the annotations lists them;
    what of the lists fits no image, or two splits, becomes an issue."""
    # Lists name the XML files, below `Annotations` where that is.
    stems = {
        splitext(file.where)[0].removeprefix("Annotations/"): path for path, file in files.items()
    }
    found: dict[str, str] = {}
    for split, listing in _split_lists(annotations):
        try:
            lines = text_of(listing).splitlines()
        except ImportFailed as error:
            message = f"{error.message.rstrip('.')}; no image gets its split from it"
            issues.append(ImportIssue(listing.where, "SPLIT_LIST_UNREADABLE", message))
            continue
        missing: list[str] = []
        for line in filter(None, map(str.strip, lines)):
            # Lists of one class have a flag behind each name.
            names = (line, _FLAG.sub("", line))
            path = next(filter(None, (_listed(n, stems, images, listing) for n in names)), None)
            if path is None:
                missing.append(line)
            elif found.setdefault(path, split) != split:
                message = f"stands in {found[path]} and in {split}; {found[path]} was taken"
                issues.append(ImportIssue(path, "SPLIT_TWICE", message))
        if missing:
            message = f"lists {len(missing):,} images that are not there: {missing[0][:60]} …"
            issues.append(ImportIssue(str(listing), "SPLIT_WITHOUT_IMAGE", message))
    return found


def _split_lists(annotations: SourceFolder) -> list[tuple[str, SourceFile]]:
    """The lists of splits, those of training first."""
    for place in (annotations, annotations.parent):
        if folder := place.subfolder("ImageSets", "Main"):
            options = [(split, folder.file(f"{word}.txt")) for word, split in SPLIT_WORDS.items()]
            return [(split, file) for split, file in options if file]
    # Of several devkits below one folder, or of one whose folder was not given itself.
    texts = [
        file
        for file in annotations.files_below(".txt")
        if posixpath.dirname(file.where).endswith("ImageSets/Main")
    ]
    by_word = {word: [f for f in texts if _stem(f.where) == word] for word in SPLIT_WORDS}
    return [(split, file) for word, split in SPLIT_WORDS.items() for file in by_word[word]]


def _listed(
    name: str, stems: dict[str, str], images: ImageFinder, listing: SourceFile
) -> str | None:
    """The image that a list calls by its stem, or by its name; of several the nearest."""
    near = listing.folder
    return stems.get(name) or images.find_stem(name, near) or images.find(name, near)


def _is_mask(path: str) -> bool:
    """Whether it lies where VOC keeps its pictures of masks."""
    return not _MASKS.isdisjoint(path.split("/")[:-1])


class _NoAnnotation(XmlUnreadable):
    """A document about something else."""


def _is_left_out(path: str | None, error: XmlUnreadable) -> int:
    """The images that are left out with a file: its own, known or not."""
    return int(path is not None or not isinstance(error, _NoAnnotation))


def _parse(file: SourceFile) -> ElementTree.Element:
    try:
        root = read_xml(file.read())
    except OSError as error:
        raise XmlUnreadable(f"cannot be read: {error.strerror}") from None
    # Some tools write it with a capital.
    if root.tag.lower() != "annotation":
        raise _NoAnnotation(f"is no VOC annotation: its root is <{root.tag[:60]}>")
    return root


def _count(root: ElementTree.Element) -> int:
    """The objects of a file."""
    return len(root.findall("object")) + len(stray_objects(root))


def _stem(path: str) -> str:
    return splitext(posixpath.basename(path.replace("\\", "/")))[0]


def _image_of(file: SourceFile, root: ElementTree.Element, images: ImageFinder) -> str | None:
    """The image of a file: of its own folder and stem and the name in it, of its own stem,
    or the one that it names, alone, with its folder, or with its whole path; of several the one
    that lies nearest."""
    where = file.where
    named = _text(root, "filename").replace("\\", "/")
    sibling = posixpath.join(posixpath.dirname(where), posixpath.basename(named))
    if sibling in images and splitext(sibling)[0] == splitext(where)[0]:
        return sibling
    if found := images.find_stem(splitext(where)[0], file.folder):
        return found
    # The bare name first; where several folders have it, the others may say which.
    options = [named, posixpath.join(_text(root, "folder"), named), _text(root, "path")]
    for option in filter(None, options if named else options[2:]):
        if found := images.find(option, file.folder) or images.find_stem(option, file.folder):
            return found
    return None


def _image(path: str, file: SourceFile) -> SourceImage:
    image = SourceImage(path, path)
    try:
        root = _parse(file)
    except XmlUnreadable as error:
        # It was readable a moment ago.
        image.issues.append(ImportIssue(file.where, "XML_UNREADABLE", str(error)))
        return image
    parts = are_parts(_corners(root))
    for index, thing in enumerate(root.iterfind("object"), 1):
        try:
            if parts:
                raise Skipped("NOT_PIXELS", "all corners lie between 0 and 1, and must be pixels")
            image.annotations.append(_annotation(path, index, thing))
        except Skipped as skipped:
            image.issues.append(skipped.issue(f"{path}, object {index}"))
            continue
        image.issues.extend(_named_losses(path, index, thing))
    if stray := stray_objects(root):
        where = ", ".join(f"<{tag[:60]}>" for tag in dict.fromkeys(stray))
        message = (
            f"{len(stray):,} objects lie in {where}, and must each be an <object> right below "
            "<annotation>; skipped"
        )
        image.issues.append(ImportIssue(path, "OBJECT_UNREADABLE", message, annotations=len(stray)))
    sides = _text(root, "size/width"), _text(root, "size/height")
    image.issues.extend(filter(None, (no_size(path, *sides),)))
    return replace(image, declared=declared(*sides))


def _named_losses(path: str, index: int, thing: ElementTree.Element) -> Iterator[ImportIssue]:
    item = f"{path}, object {index}"
    for tag, reason, changed in (("part", "PART_LEFT_OUT", 0), ("polygon", "OUTLINE_LEFT_OUT", 1)):
        if thing.find(tag) is not None:
            message = f"only the object's box is taken, not its {tag}"
            yield ImportIssue(item, reason, message, changed=changed)
    for tag in ("bndbox", "robndbox"):
        if more := len(thing.findall(tag)[1:]):
            message = f"has {more + 1} elements {tag}, of which the first is taken; {more} skipped"
            yield ImportIssue(item, "BOX_TWICE", message, annotations=more)


def _annotation(path: str, index: int, thing: ElementTree.Element) -> dict[str, Any]:
    name = _text(thing, "name")
    if not name:
        raise Skipped("CLASS_MISSING", "the object has no name")
    if not is_class_name(name):
        raise Skipped("CLASS_NAME_UNFIT", f"a class has a name of 1 to {MAX_NAME} characters")
    identifier = annotation_id(path, "pascal_voc", index)
    rotated, plain = thing.find("robndbox"), thing.find("bndbox")
    if rotated is not None:
        cx, cy, w, h, angle = _numbers(rotated, ("cx", "cy", "w", "h", "angle"))
        _check_area((cx, cy, w, h), f"w is {w:g}, h {h:g}")
        return oriented_bbox(
            identifier, name, (cx, cy), (w, h), math.degrees(angle), attributes_of(thing)
        )
    if plain is None:
        raise Skipped("BOX_MISSING", "the object has neither bndbox nor robndbox")
    xmin, ymin, xmax, ymax = _numbers(plain, _CORNERS)
    box = xmin, ymin, xmax - xmin, ymax - ymin
    _check_area(box, f"xmin is {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g}")
    return bbox(identifier, name, box, attributes_of(thing))


def _corners(root: ElementTree.Element) -> Iterator[list[float]]:
    """The numbers of every box."""
    for box in root.iterfind("object/bndbox"):
        yield [number_of(_text(box, tag)) for tag in _CORNERS]


def _check_area(box: tuple[float, float, float, float], message: str) -> None:
    if not has_area(box):
        raise Skipped("BOX_WITHOUT_AREA", message)


def _numbers(element: ElementTree.Element, tags: tuple[str, ...]) -> list[float]:
    values = []
    for tag in tags:
        value = number_of(_text(element, tag))
        if not math.isfinite(value):
            raise Skipped("BOX_UNREADABLE", f"{tag} is {shown(_text(element, tag))}, not a number")
        values.append(value)
    return values


def _text(element: ElementTree.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
