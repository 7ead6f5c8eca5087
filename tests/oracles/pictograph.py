"""Pictograph archives, read by the models of the official SDK."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.formats.common.export import ExportInfo
from tests.oracles.environments import read
from tests.oracles.model import Check, OracleResult, SourceImage, archive_paths, require


def sdk(folder: Path, source: Sequence[SourceImage], info: ExportInfo) -> OracleResult:
    """Every annotation through the SDK's models and out again, equal to the source."""
    answer = read("sdk", "sdk_models", folder)
    found = {image["path"]: image for image in answer["images"]}
    require(len(found) == len(answer["images"]) == len(source), f"{len(found)} images")
    names = {c.name for c in info.selected_classes}
    # Joints of a class go with it.
    names |= {n.name for c in info.selected_classes if c.skeleton for n in c.skeleton.nodes}
    places = archive_paths(folder)
    count = 0
    for image in source:
        place = places[image.path]
        require(place in found, f"{place} was not read")
        require(found[place]["size"] == [image.width, image.height], f"{place}: size")
        expected = [_whole(row) for row in image.annotations if row["name"] in names]
        rows = [{k: v for k, v in row.items() if k != "id"} for row in found[place]["rows"]]
        require(rows == expected, f"{place}: the annotations differ")
        count += len(rows)
    dataset = json.loads((folder / "dataset.json").read_bytes())
    classes = [c.name for c in info.selected_classes]
    require([c["name"] for c in dataset["classes"]] == classes, "classes")
    return OracleResult(len(source), count, 0.0)


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of the format, by name."""
    return {"pictograph": sdk}


def _whole(annotation: dict[str, Any]) -> dict[str, Any]:
    """An annotation with what the import completes, without its id."""
    value = {"confidence": 1.0, "attributes": [], **annotation}
    value.pop("id", None)
    return {key: part for key, part in value.items() if part is not None}
