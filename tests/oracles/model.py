"""What an oracle knows of a dataset, and what it says of an archive."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from services.formats.common.export import ExportInfo


@dataclass(frozen=True)
class SourceImage:
    """An image as it went into the dataset."""

    #: Folder and file name in the dataset.
    path: str
    #: Pixels, as displayed.
    width: int
    height: int
    split: str | None
    #: In the Pictograph wire form.
    annotations: list[dict[str, Any]]


@dataclass(frozen=True)
class OracleResult:
    """What the reader saw, all of it as the source says."""

    images: int
    annotations: int
    #: The farthest that a coordinate is from the source's; of shapes that the format holds as
    #: they are, and that lie on their image.
    largest_error_px: float


#: Reads an unpacked archive, images included, and compares it with its source.
Check: TypeAlias = Callable[[Path, Sequence[SourceImage], ExportInfo], OracleResult]


class OracleMismatch(AssertionError):
    """An independent reader saw something else than what the source has."""


def require(condition: bool, message: str) -> None:
    """Raises:
    OracleMismatch: the condition does not hold.
    """
    if not condition:
        raise OracleMismatch(message)


def archive_paths(folder: Path) -> dict[str, str]:
    """The place of each image in an unpacked archive, by its path in the dataset."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return {row["path"]: row["file"] for row in manifest["files"]}
