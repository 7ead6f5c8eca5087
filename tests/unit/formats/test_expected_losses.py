"""What a preview expects of a format is what the format then does, or more."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.catalog.selection import ImageTotals, Selection, ShapeTotals
from services.catalog.shapes import Shape, extent_of
from services.exports.forecast import Forecast, forecast
from services.formats.common.export import ExportImage
from services.formats.common.loss_report import LossReport
from services.formats.common.losses import Kind
from services.formats.registry import FORMATS
from tests.unit.formats.archives import CLASSES, assemble, image, info
from tests.unit.formats.generated import HEIGHT, WIDTH, annotation_lists

#: What no count of shapes tells; the notes of a preview say so.
UNFORESEEN = {
    "the same row as another annotation",
    "smaller than the last digit of a label can say",
    "no rotated box is left on the image",
    "text that a spreadsheet would take for a formula",
}

FILTERS: list[dict[str, Any]] = [
    {},
    {"class_filter": ("car", "lane")},
    {"class_filter": ("person",)},
    {"class_filter": ("person", "nose"), "include_unannotated": True},
]


def importable(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that an import takes: boxes have two sides."""
    return [
        annotation
        for annotation in annotations
        if all(
            min(annotation[key]["w"], annotation[key]["h"]) > 0
            for key in ("bounding_box", "oriented_box")
            if annotation.get(key)
        )
    ]


def totals(images: list[ExportImage], chosen: Selection) -> tuple[ImageTotals, list[ShapeTotals]]:
    """What the catalog has counted of a selection."""
    ids = {item.name: position for position, item in enumerate(CLASSES)}
    counts: dict[tuple[int, Shape], Counter[str]] = {}
    sums: Counter[str] = Counter()
    for one in images:
        extents = [extent_of(annotation) for _, annotation in one.selected(info("pictograph"))]
        there = {ids[extent.class_name] for extent in extents}
        if chosen.class_ids and not chosen.include_unannotated and not there & {*chosen.class_ids}:
            continue
        sums["images"] += 1
        if not chosen.class_ids or chosen.include_unannotated:
            wanted = {*chosen.named_class_ids} or there
            sums["unannotated"] += not there & wanted
        sums["renamed"] += one.name != one.path
        sums["foldered"] += one.name == one.path and "/" in one.path
        for extent in extents:
            class_id = ids[extent.class_name]
            if chosen.class_ids and class_id not in chosen.class_ids:
                continue
            is_off = extent.is_off(WIDTH, HEIGHT)
            found = counts.setdefault((class_id, extent.shape), Counter())
            found["count"] += 1
            found["over"] += is_off or extent.reaches_over(WIDTH, HEIGHT)
            found["off"] += is_off
            found["parts"] += extent.parts
    return (
        ImageTotals(
            sums["images"], sums["renamed"], sums["foldered"], sums["unannotated"], 0, 0, 0, 0
        ),
        [
            ShapeTotals(*key, found["count"], found["over"], found["off"], found["parts"])
            for key, found in counts.items()
        ],
    )


def sums(expected: Forecast, kind: Kind) -> tuple[int, bool]:
    losses = [loss for loss in expected.losses if loss.kind is kind]
    return sum(loss.count for loss in losses), any(loss.at_most for loss in losses)


def unforeseen(losses: LossReport, kind: Kind, outlines: bool) -> int:
    reasons = UNFORESEEN | ({"no area on the image"} if outlines else set())
    return sum(
        loss.count for reason, loss in losses.losses.get(kind, {}).items() if reason in reasons
    )


@pytest.mark.parametrize("format_name", FORMATS)
@settings(max_examples=25)
@given(
    lists=st.lists(annotation_lists().map(importable), min_size=1, max_size=4),
    fields=st.sampled_from(FILTERS),
)
def test_a_format_loses_what_was_expected(
    format_name: str, lists: list[list[dict[str, Any]]], fields: dict[str, Any]
) -> None:
    export = info(format_name, **fields)
    chosen = Selection.of(
        "dataset",
        CLASSES,
        class_filter=export.class_filter,
        status="",
        include_unannotated=export.include_unannotated,
    )
    images = [
        image(annotations, number, 1 + 100 * number, (WIDTH, HEIGHT), id=f"i{number}")
        for number, annotations in enumerate(lists, 1)
    ]
    expected = forecast(format_name, CLASSES, chosen, *totals(images, chosen))
    taken = [
        one
        for one in images
        if not export.class_filter or export.include_unannotated or one.selected(export)
    ]
    if not taken:
        return
    _, rendered = assemble(export, taken)
    outlines = any(a["type"] == "polygon" for annotations in lists for a in annotations)
    extras = {kind: unforeseen(rendered.losses, kind, outlines) for kind in Kind}
    # What is dropped unforeseen is not degraded or clamped either, as was foreseen.
    missed = sum(extras.values())
    for kind, extra in extras.items():
        found = rendered.losses.total(kind)
        count, at_most = sums(expected, kind)
        assert found - extra <= count, (kind, rendered.losses.to_json(), expected)
        assert at_most or missed or found == count, (kind, rendered.losses.to_json(), expected)
    assert rendered.annotation_count <= expected.annotation_count
    assert (
        expected.annotations_at_most
        or missed
        or rendered.annotation_count == expected.annotation_count
    )
