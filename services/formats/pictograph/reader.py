"""Pictograph JSON: one file per image, annotations in the wire form.

Read are the export format `pictograph` of this project (`images/`, `annotations/`,
`dataset.json`), files that hold the array of annotations alone, and objects with
`annotations`, as the official service exports them. A file is named like its image, with
`.json` after or for the extension. Where the file has an `image` block, path, status and
split of the image are taken from it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import normpath
from typing import Any

import orjson

from services.catalog.annotations import complete
from services.catalog.model import CLASS_TYPES, IMAGE_STATUSES, SPLITS, DatasetClass
from services.errors import Invalid
from services.formats.common.annotations import annotation_id
from services.formats.common.class_list import checked_names, class_color
from services.formats.common.declared_size import declared, no_size
from services.formats.common.finder import Annotations, ImageFinder, SourceFile, SourceFolder
from services.formats.common.plain_values import is_storable, shown
from services.formats.common.source import ImportFailed, ImportIssue, SourceDataset, SourceImage
from services.formats.common.source_files import (
    annotation_files,
    content_of,
    decoded,
    in_folders_named,
    without_annotations,
)

#: Files of an export that are about all images.
_DOCUMENTS = frozenset(("dataset.json", "manifest.json"))


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image file below the folder of images, and its annotation file if there is one."""

    image: str
    file: SourceFile | None = None


def read(images: ImageFinder, annotations: Annotations) -> SourceDataset[SourceImage]:
    """Reads the JSON files below the folder `annotations`, or below the folders of that name
    in it.

    Classes come from `dataset.json` in or above that folder, then in the order in which the
    sorted files name them.

    Raises:
        ImportFailed: there is no annotation file, or none can be read.
    """
    files = in_folders_named("annotations", annotation_files(annotations, "JSON", _DOCUMENTS))
    classes = {item.name: item for item in _dataset_classes(annotations.folder)}
    issues = list(images.issues)
    entries: dict[str, _Entry] = {}
    taken: set[str] = set()
    passed_over: set[str] = set()
    first_problem = ""
    for file in files:
        where = file.where
        try:
            block, values = _load(file)
        except _Unreadable as error:
            first_problem = first_problem or f"{file} {error}."
            image = _image_of(where, {}, images)
            passed_over.update(filter(None, (image,)))
            message = f"{error}; its image is passed over" if image else f"{error}; left out"
            issues.append(
                ImportIssue(where, "JSON_UNREADABLE", message, images=_is_left_out(image, error))
            )
            continue
        image = _image_of(where, block, images)
        if image is None:
            names = filter(None, (_named(block), where.removesuffix(".json")))
            issues.append(images.missing(where, list(names), len(values)))
            continue
        path = _path(block) or image
        if image in taken or path in entries:
            message = f"{path} has a file already; skipped with {len(values)} annotations"
            issues.append(
                ImportIssue(where, "IMAGE_LISTED_TWICE", message, annotations=len(values))
            )
            continue
        taken.add(image)
        entries[path] = _Entry(image, file)
        for name, kind in _named_classes(values):
            if name not in classes:
                classes[name] = DatasetClass(name, kind, class_color(len(classes)))
    if first_problem and not taken:
        raise ImportFailed(first_problem)
    for image in images.paths:
        if image not in taken and image not in entries and image not in passed_over:
            entries[image] = _Entry(image)
    return SourceDataset(
        classes=list(classes.values()),
        paths=sorted(entries),
        load=lambda path: _image(path, entries[path]),
        issues=issues,
    )


def _dataset_classes(annotations: SourceFolder) -> list[DatasetClass]:
    file = annotations.file("dataset.json") or annotations.parent.file("dataset.json")
    if file is None:
        return []
    try:
        classes = [*map(DatasetClass.from_json, orjson.loads(content_of(file))["classes"])]
        _check_types(classes)
        wrong = [item.name for item in classes if item.type not in CLASS_TYPES]
        checked_names([item.name for item in classes], str(file))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise ImportFailed(
            f"{file} is no dataset configuration: it needs `classes`, a list of objects "
            "with name, type and color."
        ) from None
    if wrong:
        raise ImportFailed(f"{file}: class {wrong[0]!r} must be of type {', '.join(CLASS_TYPES)}.")
    return classes


class _Unreadable(Exception):
    """A file that is not read; the message says why, after its name."""


class _NoAnnotations(_Unreadable):
    """A document about something else."""


def _is_left_out(image: str | None, error: _Unreadable) -> int:
    """The images that are left out with a file: its own, known or not."""
    return int(image is not None or not isinstance(error, _NoAnnotations))


def _check_types(classes: list[DatasetClass]) -> None:
    """Raises:
    TypeError: what must be text is none, or no number.
    """
    for item in classes:
        nodes = item.skeleton.nodes if item.skeleton else ()
        texts = [item.name, item.type, item.color, item.supercategory]
        for attribute in item.attributes:
            texts += [attribute.name, attribute.type, *attribute.values]
        texts += [node.name for node in nodes]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        if not all(isinstance(place, int | float) for node in nodes for place in (node.x, node.y)):
            raise TypeError


def _load(file: SourceFile) -> tuple[dict[str, Any], list[Any]]:
    """The `image` block, empty where there is none, and the annotations.

    Raises:
        _Unreadable: it is no JSON, or no annotations.
    """
    try:
        value = orjson.loads(decoded(file.read()))
    except UnicodeDecodeError:
        raise _Unreadable("is not readable JSON: it is not UTF-8; save it as UTF-8") from None
    except orjson.JSONDecodeError as error:
        raise _Unreadable(f"is not readable JSON: {error.msg} in line {error.lineno}") from None
    except OSError as error:
        raise _Unreadable(f"cannot be read: {error.strerror}") from None
    if isinstance(value, list):
        return {}, value
    if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
        raise _NoAnnotations(
            "is no Pictograph file: it needs an array of annotations, alone or as `annotations`"
        )
    block = value.get("image")
    return (block if isinstance(block, dict) else {}), value["annotations"]


def _image_of(where: str, block: dict[str, Any], images: ImageFinder) -> str | None:
    """The image of a file: the one that its block names, else the one of its own name."""
    own = where.removesuffix(".json")
    named = _named(block)
    beside = "/".join("images" if part == "annotations" else part for part in own.split("/"))
    options = [named, named and named.removeprefix("images/"), own, beside]
    for option in options:
        if option and option in images:
            return option
    found = images.find(own) or images.find_stem(own)
    return found or (images.find(named) if named else None)


def _named(block: dict[str, Any]) -> str | None:
    named = block.get("file")
    return named if isinstance(named, str) else None


def _path(block: dict[str, Any]) -> str | None:
    """The path in the dataset that the image had, where that is one."""
    path = block.get("path")
    if not isinstance(path, str) or not path or path.startswith(("/", "..")):
        return None
    return path if normpath(path) == path != "." else None


def _named_classes(values: list[Any]) -> Iterator[tuple[str, str]]:
    for index, value in enumerate(values):
        try:
            annotation = complete(value, index)
        except Invalid:
            continue
        yield annotation["name"], annotation["type"]


def _image(path: str, entry: _Entry) -> SourceImage:
    if entry.file is None:
        return without_annotations(path, "JSON")
    try:
        block, values = _load(entry.file)
    except _Unreadable as error:
        # It was readable a moment ago.
        issue = ImportIssue(entry.file.where, "JSON_UNREADABLE", str(error))
        return SourceImage(path, entry.image, issues=[issue])
    status, split = block.get("status"), block.get("split")
    sides = block.get("width"), block.get("height")
    image = SourceImage(
        path,
        entry.image,
        status if status in IMAGE_STATUSES else None,
        split if split in SPLITS else None,
        declared=declared(*sides),
    )
    image.issues.extend(filter(None, (no_size(path, *sides),)))
    seen: Counter[str] = Counter()
    for index, value in enumerate(values):
        try:
            annotation = complete(value, index)
        except Invalid as invalid:
            image.issues.append(
                ImportIssue(path, "ANNOTATION_INVALID", f"{invalid}; skipped", 0, 1)
            )
            continue
        identifier = annotation["id"]
        seen[identifier] += 1
        if seen[identifier] > 1:
            annotation["id"] = annotation_id(path, "pictograph", identifier, seen[identifier])
            image.issues.append(
                ImportIssue(
                    f"{path}, annotations[{index}]",
                    "ID_TWICE",
                    f"id {shown(identifier)} is taken; the annotation got one of its own",
                )
            )
        if annotation["attributes"] and not is_storable(annotation["attributes"]):
            annotation["attributes"] = []
            item, problem = f"{path}, annotations[{index}]", "nested too deep; they were left out"
            image.issues.append(ImportIssue(item, "ATTRIBUTES_UNREADABLE", problem))
        image.annotations.append(annotation)
    return image
