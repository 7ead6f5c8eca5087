"""Which file a COCO document means by an image, and which image by an annotation."""

from dataclasses import dataclass, field
from math import inf
from typing import Any

from services.formats.common.finder import ImageFinder, SourceFolder
from services.formats.common.name_finder import common_parts, parts_of
from services.formats.common.source import ImportIssue


@dataclass(slots=True)
class ListedImage:
    """What the document says about one image file."""

    width: Any = None
    height: Any = None
    annotations: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Absent:
    """An image of the document that is not there."""

    name: str
    #: Its annotations.
    count: int = 0


def match(
    document: dict[str, Any], images: ImageFinder, beside: SourceFolder
) -> tuple[dict[str, ListedImage], list[ImportIssue]]:
    """Pairs the document's images with files, and annotations with images.

    Args:
        document: holds lists `images` and `annotations`.
        images: all image files.
        beside: the folder that the document lies in.

    Returns:
        What the document says about each file that it lists, by path, and what fits nothing.
    """
    issues = list(images.issues)
    found: dict[str, ListedImage] = {}
    by_id: dict[Any, ListedImage | _Absent] = {}
    names = [row.get("file_name") if isinstance(row, dict) else None for row in document["images"]]
    paths = _paths([name for name in names if isinstance(name, str)], images, beside)
    for row, name in zip(document["images"], names, strict=True):
        identifier = row.get("id") if isinstance(row, dict) else None
        if not isinstance(name, str) or not isinstance(identifier, int | str):
            issues.append(
                ImportIssue(
                    f"image {identifier}",
                    "IMAGE_UNREADABLE",
                    "needs an id and a file_name; skipped",
                    images=1,
                )
            )
            continue
        path = paths[name]
        if identifier in by_id:
            issues.append(
                ImportIssue(
                    name, "IMAGE_ID_TWICE", f"image id {identifier} is taken; skipped", images=1
                )
            )
        elif path is None:
            by_id[identifier] = _Absent(name)
        elif path in found:
            issues.append(
                ImportIssue(name, "IMAGE_LISTED_TWICE", "the annotations of both were joined")
            )
            by_id[identifier] = found[path]
        else:
            by_id[identifier] = found[path] = ListedImage(row.get("width"), row.get("height"))
    for row in document["annotations"]:
        image_id = row.get("image_id") if isinstance(row, dict) else None
        if not isinstance(image_id, int | str) or image_id not in by_id:
            identifier = row.get("id") if isinstance(row, dict) else None
            issues.append(
                ImportIssue(
                    f"annotation {identifier}",
                    "IMAGE_UNKNOWN",
                    f"its image id {image_id} is not in the list of images; skipped",
                    annotations=1,
                )
            )
            continue
        image = by_id[image_id]
        if isinstance(image, ListedImage):
            image.annotations.append(row)
        else:
            image.count += 1
    for absent in by_id.values():
        if isinstance(absent, _Absent):
            reason, why = images.missing(absent.name)
            message = f"{why}; skipped with {absent.count} annotations"
            issues.append(ImportIssue(absent.name, reason, message, 1, absent.count))
    issues += [
        ImportIssue(path, "IMAGE_NOT_LISTED", "the document has no such image; skipped", images=1)
        for path in images.paths
        if path not in found
    ]
    return found, issues


def _paths(names: list[str], images: ImageFinder, beside: SourceFolder) -> dict[str, str | None]:
    """The path of each name. One whose folders contradict the path gives way to another name
    that says more of it."""
    paths = {name: images.find(name, beside) for name in names}
    most: dict[str, int] = {}
    for name, path in paths.items():
        if path is not None:
            most[path] = max(most.get(path, 0), common_parts(name, path))
    return {
        name: None if path and _agreement(name, path) < most[path] else path
        for name, path in paths.items()
    }


def _agreement(name: str, path: str) -> float:
    """How many parts a name shares with a path; without end where no part differs."""
    count = common_parts(name, path)
    return inf if count in (len(parts_of(name)), len(path.split("/"))) else count
