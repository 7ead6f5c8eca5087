"""Pictograph files that mean no good: named, and no end of the import of the others."""

from pathlib import Path
from typing import Any

import pytest

from services.formats.common.source import ImportFailed
from services.importing.dataset import read_dataset
from tests.unit.importing.dataset_files import (
    read_all,
    reasons,
    write_image,
    write_json,
    write_text,
)

BOX = '{"id": "1", "name": "car", "type": "bbox", "bounding_box": {"x": 1, "y": 1, "w": 2, "h": 2}'
DEEP = '{"a": ' * 300 + "1" + "}" * 300


def _write(root: Path, stem: str, text: str) -> None:
    write_image(root / "images" / f"{stem}.jpg")
    write_text(root / "annotations" / f"{stem}.json", text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not readable JSON"),
        ("{", "in line 1"),
        ("[" * 100_000, "not readable JSON"),
        ('{"a": NaN}', "not readable JSON"),
        ('["\\ud800"]', "not readable JSON"),
        (f"[{'9' * 400}]", "not readable JSON"),
        ("{}", "no Pictograph file"),
        ('{"annotations": {}}', "no Pictograph file"),
        ("<html>", "not readable JSON"),
    ],
)
def test_one_bad_file_is_named_and_the_others_come_in(
    tmp_path: Path, text: str, words: str
) -> None:
    _write(tmp_path, "bad", text)
    _write(tmp_path, "good", f"[{BOX}}}]")
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
    (item,) = read_all(source)
    assert (item.path, len(item.annotations)) == ("good.jpg", 1)
    (issue,) = source.issues
    assert (issue.item, issue.reason, issue.images) == ("bad.json", "JSON_UNREADABLE", 1)
    assert words in issue.message
    assert len(issue.message) < 200


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_looked_over(tmp_path: Path, encoding: str) -> None:
    _write(tmp_path, "a", "")
    (tmp_path / "annotations" / "a.json").write_text(f"[{BOX}}}]", encoding=encoding)
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
    (item,) = read_all(source)
    assert len(item.annotations) == 1
    assert not reasons(source, [item])


def test_attributes_without_end_are_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "a", f'[{BOX}, "attributes": {DEEP}}}]')
    source = read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
    (item,) = read_all(source)
    assert item.annotations[0]["attributes"] == []
    assert reasons(source, [item]) == {"ATTRIBUTES_UNREADABLE": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"color": 5},
        {"type": 5},
        {"name": 5},
        {"name": "a\0b"},
        {"supercategory": []},
        {"attributes": [{"name": 5}]},
        {"attributes": [{"name": "a", "values": [1]}]},
        {"attributes": 5},
        {"skeleton": {"nodes": [{"name": 5}]}},
        {"skeleton": {"nodes": [{"name": "a", "x": "left"}]}},
        {"skeleton": {"nodes": [{"name": "a"}], "edges": [[0]]}},
        {"skeleton": 5},
    ],
)
def test_a_class_list_of_other_types_is_refused_by_name(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    _write(tmp_path, "a", "[]")
    write_json(tmp_path / "dataset.json", {"classes": [{"name": "a", "type": "bbox", **fields}]})
    with pytest.raises(ImportFailed, match=r"dataset\.json"):
        read_dataset("pictograph", tmp_path / "images", tmp_path / "annotations")
