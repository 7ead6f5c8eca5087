"""Archives of every format, read by programs that others wrote and compared with their source."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from services.formats.common.export import ExportInfo
from services.formats.registry import FORMATS
from tests.exports import create, download, watch
from tests.oracles.archives import PART_SIZE, Dataset, Unpacked, put_material, unpacked
from tests.oracles.coco import boxes_of_outlines
from tests.oracles.material import (
    FILTER,
    OVER,
    SEGMENT_COUNT,
    SHARED,
    Material,
    boxed,
    edges,
    folders_like_splits,
    wide,
)
from tests.oracles.model import Check, OracleMismatch, OracleResult, SourceImage
from tests.oracles.table import Table
from tests.stack import Stack

# Readers are installed at their first use.
pytestmark = pytest.mark.timeout(1800)

#: The dataset of each archive, and how it is asked for.
_ARCHIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("made", {}),
    "by split": ("made", {"by_split": True}),
    "class filter": ("made", {"class_filter": FILTER}),
    "many segments": ("long", {}),
    "real": ("real", {}),
}


#: Exports of one kind that are built at the same time.
_AT_ONCE = 6
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def checks(info: ExportInfo) -> dict[str, Check]:
    """The readers of a format: those of the module that is named like it, or like its family."""
    name = "yolo" if info.format.startswith("yolo") else info.format
    found: dict[str, Check] = import_module(f"tests.oracles.{name}").checks(info)
    return found


@pytest.mark.parametrize("archive", _ARCHIVES)
@pytest.mark.parametrize("format_", FORMATS)
def test_readers_see_what_the_source_has(
    datasets: dict[str, Dataset], table: Table, format_: str, archive: str
) -> None:
    name, options = _ARCHIVES[archive]
    if name not in datasets:
        pytest.skip(f"the real datasets are not at {SHARED}")
    failures = []
    with unpacked(datasets[name], format_, **options) as found:
        if archive == "many segments":
            # Each image is longer than a part, and so has a segment of its own.
            assert found.size > SEGMENT_COUNT * PART_SIZE
        for reader, check in checks(found.info).items():
            try:
                result = check(found.folder, found.source, found.info)
            except AssertionError as error:
                table.failed(format_, reader, archive)
                failures.append(f"{reader}: {error}")
            else:
                table.passed(format_, reader, result)
    assert not failures, "\n".join(failures)


def _every_reader(
    stack: Stack, material: Material, format_: str, table: Table, **options: Any
) -> dict[str, OracleResult]:
    """What every reader of a format sees in the archive of a material of its own."""
    with unpacked(put_material(stack, material), format_, **options) as found:
        results = {
            reader: check(found.folder, found.source, found.info)
            for reader, check in checks(found.info).items()
        }
    for reader, result in results.items():
        table.passed(format_, reader, result)
    return results


@pytest.mark.parametrize("format_", ["yolo", "yolo_obb", "dota"])
def test_digits_suffice_for_large_images(
    datasets: dict[str, Dataset], table: Table, format_: str
) -> None:
    results = _every_reader(datasets["made"].stack, wide(), format_, table)
    assert 0 < results["specification"].largest_error_px < 1e-4


@pytest.mark.parametrize("format_", ["yolo_obb", "dota"])
def test_smallest_rectangles_may_leave_the_image(
    datasets: dict[str, Dataset], table: Table, format_: str
) -> None:
    """Readers take them whole, and see that none is larger than need be."""
    _every_reader(datasets["made"].stack, edges(), format_, table)
    with unpacked(put_material(datasets["made"].stack, edges()), format_) as found:
        (label, *_) = found.folder.rglob("*/top left.txt")
        numbers = [float(word) for word in label.read_text().split() if _NUMBER.fullmatch(word)]
        width = 320 if format_ == "yolo_obb" else 1
        assert min(numbers) * width < -OVER


def test_outlines_keep_the_boxes_that_they_came_with(
    datasets: dict[str, Dataset], table: Table
) -> None:
    with unpacked(put_material(datasets["made"].stack, boxed()), "coco") as found:
        result = boxes_of_outlines(found.folder, found.source, found.info)
    assert result.annotations == 2
    table.passed("coco", "pycocotools", result)


@pytest.mark.parametrize("format_", FORMATS)
def test_exports_at_once_are_the_same_bytes(
    datasets: dict[str, Dataset], table: Table, format_: str
) -> None:
    """On as many threads as there are workers, with other work beside."""
    made = datasets["made"]
    stack, source = made.stack, made.material.source
    exports = [
        create(stack, made.name, format=format_, include_images=number % 2 == 1).id
        for number in range(2 * _AT_ONCE)
    ]
    assert all(watch(stack, export)[-1].status == pb.EXPORT_STATUS_COMPLETED for export in exports)
    digests = [hashlib.sha256(download(stack, export)).digest() for export in exports]
    assert len(set(digests[::2])) == len(set(digests[1::2])) == 1
    count = sum(len(image.annotations) for image in source)
    result = OracleResult(len(source) * len(exports), count * len(exports), 0.0)
    table.passed(format_, "equal bytes", result)


def _moved(annotation: dict[str, Any]) -> dict[str, Any]:
    """The same, 0.01 pixels to the right."""
    text = json.dumps(annotation)
    return {
        **annotation,
        **json.loads(
            re.sub(r'"(x|cx)": (-?[0-9.]+)', lambda m: f'"{m[1]}": {float(m[2]) + 0.01}', text)
        ),
    }


def _moving(kind: str) -> Callable[[SourceImage], SourceImage]:
    """Moves the annotations of a kind."""

    def change(image: SourceImage) -> SourceImage:
        rows = [_moved(row) if row["type"] == kind else row for row in image.annotations]
        return replace(image, annotations=rows)

    return change


def _renamed(image: SourceImage) -> SourceImage:
    first, *others = image.annotations
    return replace(image, annotations=[{**first, "name": "lane"}, *others])


@pytest.mark.parametrize("by_split", [False, True])
def test_folders_may_be_named_like_splits(folders: Dataset, table: Table, by_split: bool) -> None:
    """Datumaro takes a folder that is named like a subset for the root of its images."""
    with unpacked(folders, "coco", by_split=by_split) as found:
        for reader, check in checks(found.info).items():
            table.passed("coco", reader, check(found.folder, found.source, found.info))


@pytest.fixture(scope="module")
def folders(datasets: dict[str, Dataset]) -> Dataset:
    """Images of every split, in folders that are named like splits."""
    return put_material(datasets["made"].stack, folders_like_splits())


#: What a reader must not miss: changes of an image, so that the archive is wrong.
_CHANGES: dict[str, Callable[[SourceImage], SourceImage]] = {
    "an image in another split": lambda image: replace(image, split="test"),
    "another size": lambda image: replace(image, width=image.width + 1),
    "an annotation too much": lambda image: replace(image, annotations=image.annotations[1:]),
    "annotations too few": lambda image: replace(image, annotations=image.annotations * 2),
    "another class": _renamed,
    "a moved box": _moving("bbox"),
    "a moved polygon": _moving("polygon"),
    "a moved polyline": _moving("polyline"),
    "a moved keypoint": _moving("keypoint"),
}


@pytest.fixture(scope="module")
def by_split(datasets: dict[str, Dataset]) -> Iterator[Unpacked]:
    """An archive that pandas reads."""
    with unpacked(datasets["made"], "csv", by_split=True) as found:
        yield found


@pytest.mark.parametrize("change", _CHANGES)
def test_an_oracle_notices_what_differs(by_split: Unpacked, change: str) -> None:
    first, *others = by_split.source
    with pytest.raises(OracleMismatch):
        _pandas(by_split, [_CHANGES[change](first), *others])


def test_an_oracle_notices_an_image_too_much(by_split: Unpacked) -> None:
    _pandas(by_split, by_split.source)
    with pytest.raises(OracleMismatch):
        _pandas(by_split, by_split.source[:-1])


def _pandas(archive: Unpacked, source: Sequence[SourceImage]) -> None:
    checks(archive.info)["pandas"](archive.folder, source, archive.info)
