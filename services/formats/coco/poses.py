"""Joins `person_keypoints_*` into `instances_*` of the same split, whose objects it repeats.

cocodataset.org gives an object one id in both documents, Datumaro numbers each from 1; so an
object is known by its image, its category and its box. Images and categories are compared by
their names, since ids may stand for others in the other document.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from posixpath import basename
from typing import Any, TypeAlias

from services.formats.coco.document import CocoDocument
from services.formats.coco.values import filled, identifier, numbers

#: Keys of the name of an image.
_FILE = ("file_name", "filename")
_POSES, _INSTANCES = "person_keypoints_", "instances_"

#: What an object is known by in both documents: image, category and box.
_Object: TypeAlias = tuple[str, str, tuple[float, ...]]


def join_poses(documents: list[CocoDocument]) -> None:
    """Gives the objects of `instances_*` their joints, and takes them out of
    `person_keypoints_*`; a document with nothing left goes.

    A row takes the place of one row at most: what agrees with no other stays as it is.
    """
    by_place = {document.file.where: document for document in documents}
    for poses in list(documents):
        name = basename(poses.file.where)
        if not name.startswith(_POSES):
            continue
        where = poses.file.where.removesuffix(name) + name.replace(_POSES, _INSTANCES, 1)
        whole = by_place.get(where)
        if whole is None:
            continue
        _join(whole, poses)
        known = set(_names(whole.images, *_FILE).values())
        used = {identifier(row.get("image_id")) for row in _objects(poses.annotations)}
        names = _names(poses.images, *_FILE)
        poses.images = [
            row
            for row in poses.images
            if (key := _id(row)) is None or key in used or names.get(key) not in known
        ]
        classes = {_name(row, "name") for row in _objects(whole.categories)}
        is_known = all(_name(row, "name") in classes for row in _objects(poses.categories))
        if is_known and not (poses.images or poses.annotations):
            documents.remove(poses)


def _join(whole: CocoDocument, poses: CocoDocument) -> None:
    """Moves the poses that agree with an object into it."""
    shared = _shared_categories(whole, poses)
    joined: set[int] = set()
    # Of objects with the same box that with the same id comes first.
    for by_id in (True, False):
        waiting: dict[tuple[_Object, Any], list[dict[str, Any]]] = defaultdict(list)
        for known, row in _known(whole, shared):
            if id(row) not in joined:
                waiting[known, by_id and _id(row)].append(row)
        for known, row in _known(poses, shared):
            same = waiting.get((known, by_id and _id(row)))
            if same and id(row) not in joined:
                other = same.pop(0)
                other.update(filled(row, other))
                joined |= {id(row), id(other)}
    poses.annotations = [row for row in poses.annotations if id(row) not in joined]
    for row in _objects(whole.categories):
        row.update(shared.get(_name(row, "name"), {}))


def _shared_categories(whole: CocoDocument, poses: CocoDocument) -> dict[str, dict[str, Any]]:
    """The joints of the categories of both, by name, where they do not contradict."""
    theirs = {_name(row, "name"): row.get("keypoints") for row in _objects(whole.categories)}
    return {
        name: {key: row.get(key) or [] for key in ("keypoints", "skeleton")}
        for row in _objects(poses.categories)
        if (name := _name(row, "name")) in theirs
        and (not theirs[name] or theirs[name] == row.get("keypoints"))
    }


def _known(
    document: CocoDocument, names: Container[str]
) -> Iterator[tuple[_Object, dict[str, Any]]]:
    """The rows of the categories of these names, each with what it is known by."""
    images = _names(document.images, *_FILE)
    categories = _names(document.categories, "name")
    for row in _objects(document.annotations):
        image = images.get(identifier(row.get("image_id")))
        category = categories.get(identifier(row.get("category_id")))
        box = numbers(row.get("bbox"))
        if image is not None and category is not None and category in names and box:
            yield (image, category, tuple(box)), row


def _names(rows: list[Any], *keys: str) -> dict[int | str | None, str]:
    """Names by id; not of an id that stands for several."""
    named: dict[int | str | None, set[str]] = defaultdict(set)
    for row in _objects(rows):
        named[_id(row)].add(_name(row, *keys))
    named.pop(None, None)
    return {key: name for key, (name, *others) in named.items() if name and not others}


def _name(row: dict[str, Any], *keys: str) -> str:
    """The name under the first of the keys that there is; empty: it is none."""
    name = next((row[key] for key in keys if key in row), "")
    return str(name) if isinstance(name, str | int) else ""


def _objects(rows: list[Any]) -> Iterable[dict[str, Any]]:
    return (row for row in rows if isinstance(row, dict))


def _id(row: Any) -> int | str | None:
    return identifier(row.get("id")) if isinstance(row, dict) else None
