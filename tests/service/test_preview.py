"""PreviewExport: what an export would hold, compared with the export that is then made."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog
from cartouche.exports.v1 import export_service_pb2 as pb
from sqlalchemy import event

from services.catalog.datasets import create_dataset
from services.catalog.model import DatasetClass
from services.database.engine import Database
from services.database.migrate import migrate
from services.exports.model import ExportRequest
from services.exports.preview import preview_export
from services.formats.common.losses import Kind
from services.formats.registry import FORMATS
from services.identity.keys import ensure_organization
from tests.datasets import (
    Annotation,
    Picture,
    bbox,
    classes,
    jpeg,
    polygon,
    polyline,
    put,
    put_all,
    unique,
)
from tests.exports import completed, create, download, failed, read_json, refused, stub, unzip
from tests.stack import Stack

WIDTH, HEIGHT = 64, 48
SQUARE = [(5.0, 5.0), (25.0, 5.0), (25.0, 25.0), (5.0, 25.0)]
HOLE = [(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)]
APART = [(40.0, 5.0), (50.0, 5.0), (50.0, 15.0), (40.0, 15.0)]
OVER = [(50.0, 30.0), (80.0, 30.0), (80.0, 60.0)]
OFF = [(70.0, 5.0), (90.0, 5.0), (90.0, 20.0)]


def turned(name: str, cx: float, cy: float) -> Annotation:
    """A rotated box of 12 by 6 pixels, and the box around it."""
    w, h = 13.392305, 11.196152
    return {
        **bbox(name, cx - w / 2, cy - h / 2, w, h),
        "oriented_box": {"cx": cx, "cy": cy, "w": 12, "h": 6, "angle": 30},
    }


def keypoint(name: str, x: float, y: float, instance: int | None = None) -> Annotation:
    return {
        "name": name,
        "type": "keypoint",
        "keypoint": {"x": x, "y": y},
        "instance_id": instance,
    }


EVERYTHING = [
    bbox("car"),
    bbox("car", -4, 5),
    bbox("=sum", 80, 5),
    turned("ship", 30, 20),
    turned("ship", 60, 20),
    turned("ship", 90, 20),
    polygon("lake", SQUARE),
    polygon("lake", OVER),
    polygon("lake", OFF),
    polygon("lake", SQUARE, HOLE),
    polygon("lake", SQUARE, APART),
    polyline("lane", (1, 1), (30, 30)),
    polyline("lane", (50, 30), (90, 30)),
    polyline("lane", (70, 60), (90, 60)),
    keypoint("dot", 9, 9),
    keypoint("dot", 99, 9),
    keypoint("head", 10, 4, 1),
    keypoint("foot", 10, 30, 1),
    keypoint("head", 30, 4, 2),
    keypoint("dot", 31, 4, 2),
    keypoint("head", 50, 4),
    keypoint("person", 50, 9),
]

PICTURES = [
    Picture("all.jpg", jpeg(WIDTH, HEIGHT), EVERYTHING, status="complete", split="train"),
    Picture("in/a/folder.jpg", jpeg(WIDTH, HEIGHT, 1), [bbox("car")], status="new", split="val"),
    Picture("empty.jpg", jpeg(WIDTH, HEIGHT, 2), status="complete"),
    Picture("CON.jpg", jpeg(WIDTH, HEIGHT, 3), [bbox("bell\ufffe")], status="review"),
    Picture("twin.png.jpg", jpeg(WIDTH, HEIGHT, 4), [bbox("car")], status="new", split="test"),
    Picture("Twin.png.JPG", jpeg(WIDTH, HEIGHT, 5), [keypoint("head", 8, 8)], status="new"),
    Picture("numbered~3.jpg", jpeg(WIDTH, HEIGHT, 6), status="new"),
]

CLASSES = [
    *classes(**{"car": "bbox", "ship": "bbox", "lake": "polygon", "lane": "polyline"}),
    *classes(**{"head": "keypoint", "foot": "keypoint", "dot": "keypoint"}),
    *classes(**{"=sum": "bbox", "bell\ufffe": "bbox", "unused": "bbox"}),
    catalog.DatasetClass(
        name="person",
        type="keypoint",
        skeleton=catalog.Skeleton(
            nodes=[catalog.SkeletonNode(name="head"), catalog.SkeletonNode(name="foot")]
        ),
    ),
]


def preview(stack: Stack, dataset: str, role: str = "viewer", **fields: Any) -> Any:
    return stub(stack).PreviewExport(
        pb.PreviewExportRequest(dataset_name=dataset, **fields),
        metadata=stack.metadata(role),
        timeout=30,
    )


@dataclass(frozen=True)
class Compared:
    """A preview, the export that it foretold, and the loss report of its archive."""

    preview: pb.PreviewExportResponse
    export: pb.Export
    losses: dict[str, dict[str, int]]


def compare(stack: Stack, dataset: str, **fields: Any) -> Compared:
    """Makes the export that a preview speaks of; the preview must not promise too little."""
    foretold = preview(stack, dataset, **fields)
    export = completed(stack, dataset, **fields)
    archive = unzip(download(stack, export.id))
    losses = {
        kind: {row["reason"]: row["count"] for row in rows}
        for kind, rows in read_json(archive, "manifest.json")["losses"].items()
    }
    for what in ("image_count", "annotation_count"):
        there, said = getattr(export, what), getattr(foretold, what)
        if getattr(foretold, f"{what}_at_most"):
            assert there <= said, what
        else:
            assert there == said, what
    for kind in Kind:
        mine = [loss for loss in foretold.losses if word(loss) == kind.value]
        there, said = getattr(export.warnings, kind), getattr(foretold.warnings, kind)
        assert said == sum(loss.count for loss in mine)
        if any(loss.at_most for loss in mine):
            assert there <= said, (kind, losses)
        else:
            assert there == said, (kind, losses)
        for loss in mine:
            if not loss.at_most:
                assert losses[kind][loss.reason] == loss.count
    # Of so little text, much is what every archive has.
    assert foretold.estimated_size / 2 - 2_000 < export.file_size
    assert export.file_size < foretold.estimated_size * 2 + 2_000
    return Compared(foretold, export, losses)


def word(loss: pb.ExpectedLoss) -> str:
    return pb.LossKind.Name(loss.kind).removeprefix("LOSS_KIND_").lower()


@pytest.fixture(scope="module")
def everything(stack: Stack) -> str:
    """A dataset of every shape and trouble; a folder's image is replaced once."""
    name = unique("everything")
    first = Picture("in/a/folder.jpg", jpeg(seed=9), [bbox("lake", 500, 500)] * 3, status="review")
    put(stack, name, [first], classes=CLASSES)
    put(stack, name, PICTURES)
    return name


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_export_is_as_foretold(stack: Stack, everything: str, format_name: str) -> None:
    compare(stack, everything, format=format_name)


@pytest.mark.parametrize(
    "fields",
    [
        {"class_filter": ["car", "lane"]},
        {"class_filter": ["car", "lane"], "include_unannotated": True},
        {"class_filter": ["person"]},
        {"class_filter": ["person"], "include_unannotated": True},
        {"class_filter": ["person", "head", "foot"]},
        {"class_filter": ["head"]},
        {"status_filter": "complete"},
        {"status_filter": "new", "class_filter": ["car"]},
        {"include_images": True, "organize_by_split": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("format_name", ["pictograph", "coco", "yolo_pose"])
def test_so_is_one_with_filters(
    stack: Stack, everything: str, format_name: str, fields: dict[str, Any]
) -> None:
    compare(stack, everything, format=format_name, **fields)


@pytest.mark.parametrize("format_name", FORMATS)
def test_of_plain_boxes_everything_is_known(stack: Stack, format_name: str) -> None:
    name = unique("plain")
    boxes = [bbox("car"), bbox("car", 55, 8), bbox("bus", 70, 8), bbox("bus", 5, 40)]
    pictures = [
        Picture("a.jpg", jpeg(), boxes, split="train"),
        Picture("b.jpg", jpeg(seed=1), split="val"),
        Picture("f/c.jpg", jpeg(seed=2), boxes[:1], split="test"),
    ]
    put_all(stack, name, pictures)
    found = compare(stack, name, format=format_name).preview
    assert not found.image_count_at_most
    assert not found.annotation_count_at_most
    assert [(item.name, item.annotation_count) for item in found.classes] == [
        ("car", 3),
        ("bus", 2),
    ]
    # What depends on the split, the attributes and the exact numbers.
    guessed = {word(loss) for loss in found.losses if loss.at_most}
    assert guessed <= {"degraded"}


def test_the_totals_follow_the_images(stack: Stack) -> None:
    name = unique("changing")
    put_all(stack, name, [Picture("b.jpg", jpeg(), [bbox("car"), bbox("bus")], status="new")])
    assert preview(stack, name).warnings.renamed == 0
    # An image with a smaller path takes the name of one that was there.
    put_all(stack, name, [Picture("B.jpg", jpeg(seed=1), [bbox("bus", -9, 5)], status="review")])
    found = preview(stack, name, format="coco")
    assert (found.image_count, found.annotation_count) == (2, 3)
    assert (found.warnings.renamed, found.warnings.clamped) == (1, 1)
    put(stack, name, [Picture("B.jpg", jpeg(seed=1), [], status="review")])
    found = preview(stack, name, format="coco")
    assert [item.annotation_count for item in found.classes] == [1, 1]
    assert (found.warnings.clamped, found.warnings.unannotated) == (0, 1)
    put(stack, name, [Picture("b.jpg", jpeg(seed=2), [bbox("car")], status="complete")])
    assert preview(stack, name, status_filter="new").image_count == 0
    assert preview(stack, name, class_filter=["bus"]).image_count == 0
    compare(stack, name)


def test_an_empty_selection_is_no_error(stack: Stack, everything: str) -> None:
    for fields in ({"class_filter": ["unused"]}, {"status_filter": "annotate"}):
        found = preview(stack, everything, format="yolo", **fields)
        assert (found.image_count, found.annotation_count, found.estimated_size) == (0, 0, 0)
        assert not found.losses
        assert "selection is empty" in found.notes[0]
        failed(stack, everything, format="yolo", **fields)


def test_an_empty_dataset(stack: Stack) -> None:
    name = unique("nothing")
    put(stack, name, [], classes=CLASSES)
    found = preview(stack, name)
    assert found.image_count == 0
    assert [item.name for item in found.classes] == [item.name for item in CLASSES]
    assert "Import images" in found.notes[0]


def test_the_name_is_checked_where_it_is_given(stack: Stack, everything: str) -> None:
    made = create(stack, everything)
    assert "already" in preview(stack, everything, name=made.name).notes[0]
    assert preview(stack, everything, name=unique("free")).notes == preview(stack, everything).notes
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "name"):
        preview(stack, everything, name="x" * 101)


def test_wrong_fields_are_named_all_at_once(stack: Stack, everything: str) -> None:
    with refused(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        *("format", "status_filter", "class_filter"),
    ):
        preview(stack, everything, format="zip", status_filter="old", class_filter=["bike"])
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "dataset_name"):
        preview(stack, "")
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        preview(stack, unique("missing"))


def test_a_preview_reads_totals_and_no_image(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/record.db")
    migrate(database)
    organization_id = ensure_organization(database, "demo")
    create_dataset(database, organization_id, "scenes", [DatasetClass("car")])
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    request = ExportRequest("scenes", "", "coco", class_filter=("car",), include_unannotated=True)
    preview_export(database, organization_id, request)
    database.close()
    assert any("image_totals" in statement for statement in asked)
    assert not [statement for statement in asked if re.search(r"\bimages\b", statement)]


def test_a_preview_makes_nothing(stack: Stack, everything: str) -> None:
    name = unique("never")
    preview(stack, everything, name=name)
    with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
        stub(stack).GetExport(
            pb.GetExportRequest(by_name=pb.ExportName(dataset_name=everything, name=name)),
            metadata=stack.metadata("viewer"),
            timeout=30,
        )


@pytest.mark.parametrize(
    ("user_agent", "wrapped"),
    [("curl/8", False), ("pictograph-python/1.0.0", False), ("pictograph-python/1.61.0", True)],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_over_rest(
    stack: Stack, everything: str, user_agent: str, wrapped: bool, slash: str
) -> None:
    body = {"dataset_name": everything, "format": "coco", "class_filter": ["car"], "more": 1}
    http = stack.http("viewer")
    headers = {"User-Agent": user_agent}
    path = f"/api/v1/developer/exports/preview{slash}"
    answer = http.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert ("data" in found) == wrapped
    if wrapped:
        assert found.pop("data") == found
    assert found["image_count"] == 3
    assert found["classes"] == [{"name": "car", "annotation_count": 4}]
    assert found["losses"][0] == {
        "kind": "clamped",
        "code": "shape.clamped",
        "reason": "reaches over the edge of the image",
        "count": 1,
        "at_most": False,
    }
    assert http.get(path, headers=headers).status_code == 405
    wrong = http.post(path, json={**body, "class_filter": ["bike"]}, headers=headers)
    assert wrong.status_code == 422
    assert "bike" in wrong.json()["detail"]
