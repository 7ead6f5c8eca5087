"""The filters of an export: what they take, what they refuse, and what they leave out."""

from typing import Any

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import SCENES, classes, count, names, put, unique
from tests.exports import (
    completed,
    create,
    details_of,
    download,
    failed,
    left_of,
    read_json,
    refused,
    unzip,
    watch,
)
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"


@pytest.mark.parametrize("status", ["new", "annotate", "complete"])
def test_images_of_a_status(stack: Stack, scenes: str, status: str) -> None:
    export = completed(stack, scenes, status_filter=status)
    assert export.status_filter == status
    assert (export.image_count, export.annotation_count) == count(status=status)
    rows = read_json(unzip(download(stack, export.id)), "manifest.json")["files"]
    assert [row["path"] for row in rows] == [p.path for p in SCENES if p.status == status]


@pytest.mark.parametrize("unannotated", [False, True])
@pytest.mark.parametrize("among", [["car"], ["sign", "person"], ["sign", "sign"]])
@pytest.mark.parametrize("format", ["pictograph", "coco"])
def test_annotations_of_classes(
    stack: Stack, scenes: str, format: str, among: list[str], unannotated: bool
) -> None:
    export = completed(
        stack, scenes, format=format, class_filter=among, include_unannotated=unannotated
    )
    wanted = count(among=among, unannotated=unannotated)
    assert (export.image_count, export.annotation_count) == wanted
    archive = unzip(download(stack, export.id))
    manifest = read_json(archive, "manifest.json")
    assert (manifest["image_count"], manifest["annotation_count"]) == wanted
    assert {row["name"] for row in manifest["classes"]} == set(among)
    if format == "coco":
        value = read_json(archive, "annotations/instances_default.json")
        assert (len(value["images"]), len(value["annotations"])) == wanted
        by_id = {row["id"]: row["name"] for row in value["categories"]}
        assert set(by_id.values()) == set(among)
        paths = {row["id"]: row["file_name"] for row in value["images"]}
        found = sorted(
            (paths[row["image_id"]], by_id[row["category_id"]]) for row in value["annotations"]
        )
    else:
        found = sorted(
            (row["path"], annotation["name"])
            for row in manifest["files"]
            for annotation in read_json(archive, row["annotation_files"][0])["annotations"]
        )
    assert found == sorted((p.path, name) for p in SCENES for name in names(p) if name in among)


def test_both_filters_and_images(stack: Stack, scenes: str) -> None:
    export = completed(
        stack, scenes, include_images=True, class_filter=["car"], status_filter="complete"
    )
    assert (export.image_count, export.annotation_count) == count(status="complete", among=["car"])
    stored = [n for n in unzip(download(stack, export.id)).namelist() if n.endswith(".jpg")]
    wanted = [p for p in SCENES if p.status == "complete" and "car" in names(p)]
    assert stored == [f"images/{p.path}" for p in wanted]


def test_filters_that_are_none(stack: Stack, scenes: str) -> None:
    """`all`, null, absent and empty: one export each, and each has everything."""
    http = stack.http("member")
    bodies: list[dict[str, Any]] = [
        {},
        {"status_filter": None, "class_filter": None},
        {"status_filter": "all", "class_filter": []},
        {"status_filter": "", "class_filter": "all"},
    ]
    made = [
        http.post(EXPORTS, json={"dataset_name": scenes, "name": unique("none"), **body})
        for body in bodies
    ]
    for answer in made:
        assert answer.status_code == 201, answer.text
        assert (answer.json()["status_filter"], answer.json()["class_filter"]) == (None, None)
        last = watch(stack, answer.json()["id"])[-1]
        assert (last.image_count, last.annotation_count) == count()
    last = completed(stack, scenes, status_filter="all", class_filter=[])
    assert (last.status_filter, last.image_count) == ("", len(SCENES))


@pytest.mark.parametrize(
    ("field", "value", "valid"),
    [
        ("class_filter", ["car", "Tank"], "'Tank'"),
        ("class_filter", ["Car"], "'car', 'person', 'sign'"),
        ("status_filter", "completed", "new, annotate, review, complete"),
        ("format", "bogus", "use one of pictograph, "),
        ("name", "x" * 101, "at most 100"),
        ("name", "..", "choose another name"),
        ("name", " ", "1 to 100 characters"),
    ],
)
def test_wrong_fields_are_named_with_what_is_valid(
    stack: Stack, scenes: str, field: str, value: Any, valid: str
) -> None:
    body = {"dataset_name": scenes, "name": unique("wrong"), field: value}
    answer = stack.http("member").post(EXPORTS, json=body)
    assert answer.status_code == 422
    assert answer.json()["error"] == "validation_error"
    (error,) = answer.json()["details"]["errors"]
    assert field in str(error)
    assert valid in str(error)
    assert valid in answer.json()["message"]
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field) as refusal:
        create(stack, scenes, **{k: v for k, v in body.items() if k != "dataset_name"})
    assert valid in details_of(refusal())[1][field]


def test_every_wrong_field_is_named_at_once(stack: Stack, scenes: str) -> None:
    fields = ("format", "status_filter", "class_filter")
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", *fields):
        create(stack, scenes, format="x", status_filter="y", class_filter=["z"])


def test_an_unknown_dataset(stack: Stack) -> None:
    name = unique("unknown")
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        create(stack, name)
    answer = stack.http("member").post(EXPORTS, json={"dataset_name": name, "name": "a"})
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert name in answer.json()["message"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status_filter": "review"}, "the status 'review'"),
        ({"class_filter": ["tree"]}, "annotations of 'tree'"),
        (
            {"status_filter": "annotate", "class_filter": ["tree"], "format": "coco"},
            "the status 'annotate' and annotations of 'tree'",
        ),
    ],
)
def test_an_empty_selection_fails_and_says_so(
    stack: Stack, scenes: str, fields: dict[str, Any], said: str
) -> None:
    # A class that no image has.
    put(stack, scenes, [], classes=classes(tree="bbox"))
    export = failed(stack, scenes, **fields)
    assert said in export.error_message
    assert "widen the filters" in export.error_message
    for unknown in ("image_count", "annotation_count", "file_size", "completed_at"):
        assert not export.HasField(unknown)
    body = stack.http("viewer").get(f"{EXPORTS}{export.id}").json()
    assert body["status"] == "failed"
    assert body["error_message"] == export.error_message
    assert left_of(stack, export) == []


def test_an_empty_dataset_fails_and_says_so(stack: Stack) -> None:
    dataset = unique("empty")
    put(stack, dataset, [])
    assert "has no image" in failed(stack, dataset, include_images=True).error_message


def test_images_without_annotations_are_kept(stack: Stack, scenes: str) -> None:
    export = completed(
        stack, scenes, class_filter=["sign"], status_filter="new", include_unannotated=True
    )
    wanted = count(status="new", among=["sign"], unannotated=True)
    assert (export.image_count, export.annotation_count) == wanted
    assert export.warnings == pb.ExportWarnings(unannotated=wanted[0])
