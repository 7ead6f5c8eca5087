"""Lists of exports: filters, order and pages."""

from typing import Any

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import create, failed, refused, stub, watch
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports/"


def listed(stack: Stack, **request: Any) -> tuple[list[str], int]:
    """The names of a list's exports, and the total."""
    answer = stub(stack).ListExports(
        pb.ListExportsRequest(**request), metadata=stack.metadata("viewer"), timeout=30
    )
    return [export.name for export in answer.exports], answer.total


@pytest.fixture(scope="module")
def dataset(stack: Stack) -> str:
    """A dataset with five exports: three completed, two failed; in turn."""
    name = unique("Listed dataset")
    put_all(stack, name, [Picture("a.jpg", jpeg(), status="new")])
    for number in range(5):
        wanted = {"status_filter": "complete"} if number % 2 else {}
        made = create(stack, name, f"export {number}", format=("coco", "")[number // 3], **wanted)
        watch(stack, made.id)
    return name


NEWEST_FIRST = [f"export {number}" for number in (4, 3, 2, 1, 0)]
COMPLETED = [f"export {number}" for number in (4, 2, 0)]
FAILED = [f"export {number}" for number in (3, 1)]


def test_filters_over_grpc(stack: Stack, dataset: str) -> None:
    assert listed(stack, dataset_name=dataset) == (NEWEST_FIRST, 5)
    slug = dataset.lower().replace(" ", "-")
    assert listed(stack, dataset_name=slug) == (NEWEST_FIRST, 5)
    for status, names in (
        (pb.EXPORT_STATUS_COMPLETED, COMPLETED),
        (pb.EXPORT_STATUS_FAILED, FAILED),
        (pb.EXPORT_STATUS_PENDING, []),
    ):
        assert listed(stack, dataset_name=dataset, status=status) == (names, len(names))
    for formats, names in (
        (["coco"], NEWEST_FIRST[2:]),
        (["pictograph"], NEWEST_FIRST[:2]),
        (["coco", "pictograph", "csv"], NEWEST_FIRST),
        (["csv"], []),
    ):
        assert listed(stack, dataset_name=dataset, formats=formats) == (names, len(names))


def test_filters_over_rest(stack: Stack, dataset: str) -> None:
    http = stack.http("viewer")
    for status, names in ((None, NEWEST_FIRST), ("completed", COMPLETED), ("failed", FAILED)):
        parameters = {"dataset_name": dataset} | ({"status": status} if status else {})
        body = http.get(EXPORTS, params=parameters).json()
        assert [row["name"] for row in body] == names
        assert {row["dataset_name"] for row in body} == {dataset}
    assert [row["error_message"] for row in body if "complete" in row["error_message"]]


def test_pages(stack: Stack, dataset: str) -> None:
    http = stack.http("viewer")
    for limit, offset in ((2, 0), (2, 2), (2, 4), (1, 3), (1000, 0), (5, 5), (100, 2**31 - 1)):
        names = NEWEST_FIRST[offset : offset + limit]
        assert listed(stack, dataset_name=dataset, limit=limit, offset=offset) == (names, 5)
        parameters: dict[str, Any] = {"dataset_name": dataset, "limit": limit, "offset": offset}
        assert [row["name"] for row in http.get(EXPORTS, params=parameters).json()] == names


def test_the_lists_of_all_datasets(stack: Stack, dataset: str) -> None:
    other = unique("other")
    put_all(stack, other, [Picture("a.jpg", jpeg())])
    newest = failed(stack, other, status_filter="complete")
    names, total = listed(stack, limit=6)
    assert names == [newest.name, *names[1:]]
    assert total >= 6
    assert set(names) > {newest.name}
    assert listed(stack, limit=1, offset=1)[0] == names[1:2]


@pytest.mark.parametrize(
    ("field", "value"), [("limit", 1001), ("limit", -1), ("offset", -1), ("status", 9)]
)
def test_bounds_over_grpc(stack: Stack, field: str, value: int) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", field):
        listed(stack, **{field: value})


@pytest.mark.parametrize(
    ("field", "value", "valid"),
    [
        ("limit", "0", "1"),
        ("limit", "1001", "1000"),
        ("limit", "x", "whole number"),
        ("offset", "-1", "0"),
        ("offset", "99999999999", "2147483647"),
        ("status", "done", "completed"),
    ],
)
def test_bounds_over_rest(stack: Stack, field: str, value: str, valid: str) -> None:
    answer = stack.http("viewer").get(EXPORTS, params={field: value})
    assert (answer.status_code, answer.json()["error"]) == (422, "validation_error")
    assert field in answer.json()["message"]
    assert valid in answer.json()["message"]


def test_an_unknown_dataset(stack: Stack) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
        listed(stack, dataset_name="nothing of that name")
    answer = stack.http("viewer").get(EXPORTS, params={"dataset_name": "nothing of that name"})
    assert answer.status_code == 404
