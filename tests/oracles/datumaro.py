"""Datumaro archives, read by Datumaro."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import Style, compare

#: It rounds to two decimals.
_STYLE = Style(tolerance=0.02)


def datumaro(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Everything that Datumaro finds."""
    roots = (part or "." for part in info.folders)
    answer = read("datumaro", "datumaro_shapes", folder, "datumaro", *roots)
    return compare(folder, source, info, answer["images"], _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"datumaro": datumaro}
