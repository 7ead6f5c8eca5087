"""Does a downloaded COCO archive hold what its export says?"""

import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from services.errors import CartoucheError

_INSTANCES = "annotations/instances_default.json"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is inside an archive."""

    entries: int
    images: int
    #: Bytes of the image files.
    image_size: int
    #: Annotations by class, in class order, without classes that have none.
    annotations: dict[str, int]


def check_archive(archive: Path, image_count: int, annotation_count: int) -> Contents:
    """Reads every byte of a COCO archive with images and counts what is there.

    Raises:
        CartoucheError: the archive cannot be read, is damaged, or holds another number of
            images or annotations than it should.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            damaged = file.testzip()
            if damaged:
                raise _wrong(f"{damaged} is damaged")
            entries = file.infolist()
            coco = orjson.loads(file.read(_INSTANCES))
            images, annotations = coco["images"], coco["annotations"]
    except KeyError as error:
        raise _wrong(f"{_INSTANCES} or a part of it is missing: {error}") from error
    except (zipfile.BadZipFile, orjson.JSONDecodeError) as error:
        raise _wrong(str(error)) from error
    sizes = {
        entry.filename.removeprefix("images/"): entry.file_size
        for entry in entries
        if entry.filename.startswith("images/") and not entry.is_dir()
    }
    _same("image files", len(sizes), image_count)
    _same(f"images in {_INSTANCES}", len(images), image_count)
    _same(f"annotations in {_INSTANCES}", len(annotations), annotation_count)
    missing = sorted({image["file_name"] for image in images} - sizes.keys())
    if missing:
        raise _wrong(f"{_INSTANCES} names {missing[0]}, which is not in the archive")
    return Contents(
        entries=len(entries),
        images=len(sizes),
        image_size=sum(sizes.values()),
        annotations=_by_class(coco),
    )


def _by_class(coco: dict[str, Any]) -> dict[str, int]:
    counts = Counter(annotation["category_id"] for annotation in coco["annotations"])
    return {c["name"]: counts[c["id"]] for c in coco["categories"] if counts[c["id"]]}


def _same(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise _wrong(f"it has {found:,} {what}; the export says {expected:,}")


def _wrong(problem: str) -> CartoucheError:
    return CartoucheError(
        "ARCHIVE_WRONG", f"The archive is not what it should be: {problem}. Download it again."
    )
