"""COCO documents that mean no good: a named refusal of the part, or of the whole; no traceback."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import ImportItem, ImportSource, read_dataset
from tests.unit.importing.dataset_files import read_all, write_image, write_text

GOOD = '{"id": "good", "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2]}'
DEEP = "[" * 300 + "]" * 300
HUGE = "9" * 400


def _read(root: Path, *rows: str, **fields: str) -> tuple[ImportSource, list[ImportItem]]:
    write_image(root / "images" / "a.jpg", 40, 20)
    parts = {
        "images": '[{"id": 1, "file_name": "a.jpg"}]',
        "categories": '[{"id": 1, "name": "car"}]',
        "annotations": f"[{', '.join((*rows, GOOD))}]",
        **fields,
    }
    text = ", ".join(f'"{key}": {value}' for key, value in parts.items())
    source = read_dataset("coco", root / "images", write_text(root / "c.json", f"{{{text}}}"))
    return source, read_all(source)


def _row(**fields: str) -> str:
    given = {"id": "1", "image_id": "1", "category_id": "1", "bbox": "[1, 1, 2, 2]", **fields}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in given.items()) + "}"


@pytest.mark.parametrize(
    ("row", "reason", "kept"),
    [
        (_row(bbox=f"[1, 1, {HUGE}, 2]"), "BOX_WITHOUT_AREA", 1),
        (_row(bbox="[1, 1, NaN, 2]"), "BOX_WITHOUT_AREA", 1),
        (_row(bbox="[1, 1, Infinity, 2]"), "BOX_WITHOUT_AREA", 1),
        (_row(bbox="[1, 1, 1e999, 2]"), "BOX_WITHOUT_AREA", 1),
        (_row(id=HUGE, bbox="[]"), "BOX_WITHOUT_AREA", 1),
        (_row(id='"\\ud800"', bbox="[]"), "BOX_WITHOUT_AREA", 1),
        (_row(category_id=HUGE), "CLASS_UNKNOWN", 1),
        (_row(category_id="[1]"), "CLASS_UNKNOWN", 1),
        (_row(category_id=DEEP), "CLASS_UNKNOWN", 1),
        (_row(image_id=HUGE), "ANNOTATION_UNREADABLE", 1),
        (_row(image_id='"\\udfff"'), "ANNOTATION_UNREADABLE", 1),
        (_row(score=HUGE), "SCORE_OUT_OF_RANGE", 2),
        (_row(score="NaN"), "SCORE_OUT_OF_RANGE", 2),
        (_row(attributes=f'{{"a": {DEEP}}}'), "ATTRIBUTES_UNREADABLE", 2),
        (_row(attributes='{"a": "\\ud800", "b": 1}'), "ATTRIBUTES_UNREADABLE", 2),
        (_row(attributes='{"\\udc00": 1}'), "ATTRIBUTES_UNREADABLE", 2),
        (_row(attributes='{"a": NaN}'), "ATTRIBUTES_UNREADABLE", 2),
        (_row(attributes=f'{{"a": {HUGE}}}'), "ATTRIBUTES_UNREADABLE", 2),
        (_row(extra=DEEP), None, 2),
        (_row(extra=f'{{"a": {DEEP[:150]}1{DEEP[-150:]}}}'), "FIELD_LEFT_OUT", 2),
        (_row(caption='"\\ud800"'), "FIELD_LEFT_OUT", 2),
        (_row(weight="NaN"), "FIELD_LEFT_OUT", 2),
        (_row(keypoints=f"[{HUGE}, 1, 2]"), "KEYPOINTS_UNREADABLE", 2),
        (_row(segmentation=f"[[{HUGE}, 1, 2, 3, 4, 5]]"), "RING_UNREADABLE", 2),
        (_row(segmentation="[[1, 1, 5, 5]]"), "RING_UNREADABLE", 2),
        (_row(segmentation="[[1, 1, 5, 5, 1, 1]]"), "RING_UNREADABLE", 2),
        (_row(segmentation="[[1, 1, 5, 5, 9, 9]]"), None, 2),
        (_row(segmentation="[[1, 1, 5, 1, 9, 1]]"), "RING_UNREADABLE", 2),
        (_row(segmentation=DEEP), "RING_UNREADABLE", 2),
        (_row(segmentation='{"size": [32768, 32768], "counts": [0, 1073741824]}'), "MASK", 2),
        (_row(segmentation=f'{{"size": [20, 40], "counts": [{HUGE}]}}'), "MASK", 2),
        (_row(segmentation='{"size": [20, 40], "counts": [-5, 805]}'), "MASK", 2),
        (_row(segmentation='{"size": [20, 40], "counts": "\\ud800"}'), "MASK", 2),
        (_row(segmentation='{"size": [20, 40], "counts": "oooooooooooooooo"}'), "MASK", 2),
        (_row(segmentation='{"size": [10, 40], "counts": [0, 400]}'), "MASK", 2),
    ],
)
def test_a_bad_row_is_named_and_the_others_come_in(
    tmp_path: Path, row: str, reason: str | None, kept: int
) -> None:
    source, (item,) = _read(tmp_path, row)
    assert len(item.annotations) == kept
    issues = [*source.issues, *item.issues]
    assert len(issues) == (reason is not None)
    if reason:
        assert issues[0].reason.startswith(reason)
        assert len(issues[0].message) < 300
        assert issues[0].annotations == 2 - kept


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"info": "[" * 100_000}, "nested too deep"),
        ({"categories": '[{"id": 1, "name": "\\ud800"}]'}, "class 0"),
        ({"categories": '[{"id": 1, "name": "a\\u0000b"}]'}, "class 0"),
        ({"categories": f'[{{"id": {HUGE}, "name": "a"}}]'}, "id of a category"),
        ({"categories": '[{"id": NaN, "name": "a"}]'}, "id of a category"),
        (
            {"categories": json.dumps([{"id": n, "name": f"c{n}"} for n in range(10_001)])},
            "10,001 classes",
        ),
    ],
)
def test_a_bad_document_is_refused_by_name(
    tmp_path: Path, fields: dict[str, str], words: str
) -> None:
    with pytest.raises(ImportFailed, match=words) as caught:
        _read(tmp_path, **fields)
    assert len(str(caught.value)) < 500


def test_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    images = '[{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "\\ud800.jpg"}]'
    source, (item,) = _read(tmp_path, images=images)
    assert len(item.annotations) == 1
    assert [issue.reason for issue in source.issues] == ["IMAGE_UNREADABLE"]


def test_numbers_beyond_python_are_no_traceback(tmp_path: Path) -> None:
    _, (item,) = _read(tmp_path, _row(bbox=f"[1, 1, {'9' * 5000}, 2]"))
    assert [issue.reason for issue in item.issues] == ["BOX_WITHOUT_AREA"]


@pytest.mark.parametrize("width", [30_000, 10**6, 10**9, 1e300])
def test_wide_rings_cost_no_picture_of_their_size(tmp_path: Path, width: float) -> None:
    started = time.process_time()
    rings: list[Any] = [
        [0, 0, width, 0, width, width, 0, width],
        [5, 5, width, 5, width, width, 5, width],
    ]
    _, (item,) = _read(tmp_path, _row(segmentation=json.dumps(rings)))
    assert len(item.annotations) == 2
    assert {issue.reason for issue in item.issues} <= {"RINGS_OVERLAP", "RINGS_UNREADABLE"}
    assert time.process_time() - started < 20
