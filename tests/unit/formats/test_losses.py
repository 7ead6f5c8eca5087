"""The loss tables: codes that keep their meaning, and rows for all that an archive reports."""

import re
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalog.model import DatasetClass
from services.catalog.selection import ImageTotals, Selection
from services.exports.forecast import forecast
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import Kind, Loss
from services.formats.registry import DEFAULT_FORMAT, FORMATS
from tests.unit.formats.archives import assemble, box, image, info
from tests.unit.formats.generated import HEIGHT, WIDTH, annotation_lists

CODE = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
#: Sentences that name the format say the same of another one.
FORMAT_WORDS = re.compile("the format|COCO|Pascal VOC")


def table(name: str) -> tuple[Loss, ...]:
    return (*FORMATS[name].losses, *FORMATS[name].losses_of(()))


def pattern(loss: Loss) -> re.Pattern[str]:
    """The sentences that a row can become."""
    parts = re.split(r"\{\w+\}", loss.sentence)
    return re.compile(".+".join(map(re.escape, parts)))


def test_the_registry_names_every_format_once() -> None:
    assert DEFAULT_FORMAT in FORMATS
    assert all(name == format_.name for name, format_ in FORMATS.items())


def test_a_code_has_one_meaning_over_all_formats() -> None:
    meanings: dict[str, set[tuple[Kind, str, str]]] = defaultdict(set)
    for name in FORMATS:
        for loss in table(name):
            assert CODE.fullmatch(loss.code), loss
            sentence = FORMAT_WORDS.sub("it", loss.sentence)
            meanings[loss.code].add((loss.kind, sentence, loss.foreseen))
    assert {code: found for code, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", FORMATS)
def test_a_sentence_of_a_format_has_one_code(name: str) -> None:
    codes: dict[tuple[Kind, str], set[str]] = defaultdict(set)
    for loss in table(name):
        codes[loss.kind, loss.foreseen or loss.sentence].add(loss.code)
    assert all(len(found) == 1 for found in codes.values())


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25)
@given(
    lists=st.lists(annotation_lists(), min_size=1, max_size=3),
    filtered=st.sampled_from([(), ("car", "lane"), ("person",)]),
)
def test_an_archive_reports_rows_of_the_table(
    name: str, lists: list[list[dict[str, Any]]], filtered: tuple[str, ...]
) -> None:
    images = [
        image(annotations, number, 1 + 100 * number, (WIDTH, HEIGHT))
        for number, annotations in enumerate(lists, 1)
    ]
    _, rendered = assemble(info(name, class_filter=filtered), images)
    for kind, rows in rendered.losses.to_json().items():
        for row in rows:
            assert any(
                (loss.code, loss.kind.value) == (row["code"], kind)
                and pattern(loss).fullmatch(row["reason"])
                for loss in table(name)
            ), row


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("filtered", [(), ("car",), ("lane",)])
def test_supercategories_are_written_or_reported(name: str, filtered: tuple[str, ...]) -> None:
    classes = (DatasetClass("car", supercategory="vehicle"), DatasetClass("lane"))
    export = info(name, classes=classes, class_filter=filtered)
    files, rendered = assemble(export, [image([box("a", 1, 1, 5, 5), box("b", 9, 9, 5, 5)])])
    written = any(b"vehicle" in text for path, text in files.items() if path != "manifest.json")
    rows = [row for rows in rendered.losses.to_json().values() for row in rows]
    lost = [row["ids"] for row in rows if row["code"] == "class.supercategory"]
    there = filtered != ("lane",)
    assert written is (there and FORMATS[name].has_supercategories)
    assert lost == ([["car"]] if there and not FORMATS[name].has_supercategories else [])
    chosen = Selection("dataset", tuple(i for i, c in enumerate(classes) if c.name in filtered))
    totals = ImageTotals(1, 0, 0, 0, 2, 100, 100, 10)
    expected = forecast(name, classes, chosen, totals, [])
    foreseen = [loss for loss in expected.losses if loss.code == "class.supercategory"]
    assert [(loss.count, loss.at_most) for loss in foreseen] == [(1, False)] * len(lost)


def test_results_without_codes_are_still_read() -> None:
    """Results that workers before 0.2.0 stored."""
    stored = {"dropped": [{"reason": "no area on the image", "count": 2, "ids": ["a", "b"]}]}
    whole = LossReport.from_json(stored)
    coded = {
        "dropped": [
            {"code": "shape.no_area", "reason": "no area on the image", "count": 1, "ids": ["c"]}
        ]
    }
    whole.merge(LossReport.from_json(coded))
    assert whole.to_json() == {
        "dropped": [
            {
                "code": "shape.no_area",
                "reason": "no area on the image",
                "count": 3,
                "ids": ["a", "b", "c"],
            }
        ]
    }
