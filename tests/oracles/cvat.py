"""CVAT archives, read by Datumaro."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import Style, compare

#: Datumaro rounds to two decimals and takes the joints of a skeleton for points by themselves.
_STYLE = Style(tolerance=0.05, turned="turned", poses="loose")


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every shape that Datumaro finds."""
    roots = (part or "." for part in info.folders)
    answer = read("datumaro", "datumaro_shapes", folder, "cvat", *roots)
    images = [
        # A point by itself has no flag in CVAT.
        {**image, "rows": [{**row, "flags": []} for row in image["rows"]]}
        for image in answer["images"]
    ]
    return compare(folder, source, info, images, _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"datumaro": datumaro}
