"""Which file a COCO document means by an image, and which image by an annotation."""

from dataclasses import dataclass, field
from typing import Any

from services.formats.common.finder import ImageFinder
from services.formats.common.source import ImportIssue


@dataclass(slots=True)
class ListedImage:
    """What the document says about one image file."""

    width: Any = None
    height: Any = None
    annotations: list[Any] = field(default_factory=list)


def match(
    document: dict[str, Any], images: ImageFinder
) -> tuple[dict[str, ListedImage], list[ImportIssue]]:
    """Pairs the document's images with files, and annotations with images.

    Args:
        document: holds lists `images` and `annotations`.
        images: all image files.

    Returns:
        What the document says about each file that it lists, by path, and what fits nothing.
    """
    issues = list(images.issues)
    found: dict[str, ListedImage] = {}
    by_id: dict[Any, ListedImage | None] = {}
    for row in document["images"]:
        name = row.get("file_name") if isinstance(row, dict) else None
        identifier = row.get("id") if isinstance(row, dict) else None
        if not isinstance(name, str) or not isinstance(identifier, int | str):
            issues.append(
                ImportIssue(
                    f"image {identifier}",
                    "IMAGE_UNREADABLE",
                    "needs an id and a file_name; skipped",
                )
            )
            continue
        path = images.find(name)
        if identifier in by_id:
            issues.append(
                ImportIssue(name, "IMAGE_ID_TWICE", f"image id {identifier} is taken; skipped")
            )
        elif path is None:
            issues.append(
                ImportIssue(
                    name,
                    "IMAGE_FILE_MISSING",
                    f"is not below {images.folder}; skipped with its annotations",
                )
            )
            by_id[identifier] = None
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
                )
            )
        elif image := by_id[image_id]:
            image.annotations.append(row)
    issues += [
        ImportIssue(path, "IMAGE_NOT_LISTED", "the document has no such image; skipped")
        for path in images.paths
        if path not in found
    ]
    return found, issues
