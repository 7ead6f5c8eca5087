"""LabelMe archives, read by labelme."""

from collections.abc import Sequence
from pathlib import Path

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, require
from tests.oracles.shapes import Style, compare

_STYLE = Style(tolerance=1e-6, poses="joints")


def labelme(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every shape that labelme opens; the labels are those of `labels.txt`."""
    answer = read("labelme", "labelme_files", folder)
    for part in info.folders:
        labels = (folder / part / "labels.txt").read_text(encoding="utf-8").splitlines()
        names = [c.name for c in info.selected_classes]
        require(labels[2 : 2 + len(names)] == names, f"labels {labels}")
    return compare(folder, source, info, answer["images"], _STYLE)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"labelme": labelme}
