"""Darwin archives, read by darwin-py."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage
from tests.oracles.shapes import Style, compare

#: It rounds boxes to three decimals.
_STYLE = Style(tolerance=0.002, poses="placed")


def darwin_py(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """What darwin-py parses of a pulled dataset."""
    answer = read("darwin", "darwin_items", folder, *(part or "." for part in info.folders))
    return compare(folder, source, info, answer["images"], _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"darwin-py": darwin_py}
