"""CSV."""

import csv
import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.model import DatasetClass
from services.formats.csv.writer import COLUMNS
from services.formats.registry import FORMATS
from tests.unit.formats.archives import assemble, box, image, info, keypoint, losses
from tests.unit.formats.samples import TURNED, every_shape


def rows_of(text: bytes) -> list[dict[str, str]]:
    # A limit of the whole process, on which other tests rely.
    limit = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
        assert tuple(next(reader)) == COLUMNS
        return [dict(zip(COLUMNS, row, strict=True)) for row in reader]
    finally:
        csv.field_size_limit(limit)


def test_every_shape() -> None:
    given = every_shape()
    files, rendered = assemble(info("csv"), [image(given, split="val")])
    text = files["annotations.csv"]
    assert text.count(b"\n") == text.count(b"\r\n") == len(given) + 1
    rows = rows_of(text)
    assert rendered.annotation_count == len(rows) == len(given)
    assert rendered.losses.losses == {}
    for row, source in zip(rows, given, strict=True):
        assert row["annotation_id"] == source["id"]
        assert row["class"] == source["name"]
        assert row["type"] == source["type"]
        assert row["split"] == "val"
        assert json.loads(row["attributes"]) == source["attributes"]
        for key, shape in json.loads(row["geometry"]).items():
            assert source[key] == shape
    box_columns = [float(rows[0][key]) for key in ("xmin", "ymin", "xmax", "ymax")]
    assert box_columns == [1.25, 2, 31.75, 42.75]
    assert rows[1]["rotation"] == str(TURNED["angle"])
    assert rows[1]["confidence"] == "0.5"
    assert [row["instance_id"] for row in rows[6:]] == ["7", "7", ""]
    assert rows[6]["xmin"] == ""
    assert rows[0]["file_name"] == "images/día/1.jpg"
    assert [row["class_id"] for row in rows[:3]] == ["0", "0", "1"]


def test_boxes_are_cut_and_geometry_is_not() -> None:
    files, rendered = assemble(
        info("csv"), [image([box("over", -10, 70, 30, 30), box("off", 200, 0, 9, 9)])]
    )
    (row,) = rows_of(files["annotations.csv"])
    assert [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")] == [0, 70, 20, 80]
    assert json.loads(row["geometry"]) == {"bounding_box": {"x": -10, "y": 70, "w": 30, "h": 30}}
    assert losses(rendered.losses) == {"clamped": ["over"], "dropped": ["off"]}


def test_an_image_without_annotations_has_a_row() -> None:
    files, _ = assemble(info("csv"), [image(), image([box("a", 1, 1, 5, 5)], 2)])
    first, second = rows_of(files["annotations.csv"])
    assert {key for key, value in first.items() if value} == {
        "image_id",
        "file_name",
        "width",
        "height",
    }
    assert second["annotation_id"] == "a"
    assert assemble(info("csv"), [])[0]["annotations.csv"].count(b"\r\n") == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_text_is_no_formula(text: str) -> None:
    classes = (DatasetClass(text, "bbox"),)
    row = box(text, 1, 1, 5, 5) | {"name": text}
    files, rendered = assemble(info("csv", classes=classes), [image([row])])
    (found,) = rows_of(files["annotations.csv"])
    assert (found["class"], found["annotation_id"]) == (f"'{text}", f"'{text}")
    assert losses(rendered.losses) == {"degraded": [text]}


@given(
    st.text(min_size=1).filter(
        lambda text: text.strip() and not text.startswith(tuple("=+-@\t\r"))
    ),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_any_text_is_read_back(name: str, attributes: dict[str, str]) -> None:
    classes = (DatasetClass(name, "bbox"),)
    row: dict[str, Any] = box(name, 1, 1, 5, 5, attributes=attributes) | {"name": name}
    export = info("csv", classes=classes)
    files, rendered = assemble(export, [image([row])])
    (found,) = rows_of(files["annotations.csv"])
    assert found["class"] == found["annotation_id"] == name.replace("\0", "")
    assert json.loads(found["attributes"]) == (attributes or [])
    tally = FORMATS["csv"].writer.read(
        "annotations.csv", iter(files["annotations.csv"].split(b"\n")), export
    )
    assert tally.annotation_count == rendered.annotation_count == 1


def test_joints_of_a_class_keep_their_names_without_an_id() -> None:
    export = info("csv", class_filter=("person",))
    files, _ = assemble(export, [image([keypoint("a", "nose", 1, 1, 1)])])
    (row,) = rows_of(files["annotations.csv"])
    assert (row["class"], row["class_id"]) == ("nose", "")


def test_each_split_has_its_file() -> None:
    images = [image(number=n, split=s) for n, s in enumerate(("train", "val", "test", None), 1)]
    files, _ = assemble(info("csv", organize_by_split=True), images)
    found = {
        folder: [row["split"] for row in rows_of(files[f"{folder}/annotations.csv"])]
        for folder in ("train", "valid", "test")
    }
    assert found == {"train": ["train", ""], "valid": ["val"], "test": ["test"]}
