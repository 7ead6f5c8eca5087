"""Who may do what: keys, roles and organizations, over gRPC and REST."""

import uuid
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import completed, get, refused, stub
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports"
FOREIGN = "elsewhere"

Metadata = tuple[tuple[str, str], ...]


def calls(stack: Stack, export: pb.Export) -> dict[str, Callable[[Metadata], Any]]:
    """Every call of both services, on an export; those that only read come first."""
    exports, catalog = stub(stack), CatalogServiceStub(stack.channel)
    opening = catalog_pb.PutImagesRequest(
        open=catalog_pb.PutImagesOpen(dataset_name=export.dataset_name)
    )
    return {
        "ListExports": lambda m: exports.ListExports(pb.ListExportsRequest(limit=1), metadata=m),
        "GetExport": lambda m: exports.GetExport(pb.GetExportRequest(id=export.id), metadata=m),
        "WatchExport": lambda m: list(
            exports.WatchExport(pb.WatchExportRequest(id=export.id), metadata=m)
        ),
        "GetDownloadUrl": lambda m: exports.GetDownloadUrl(
            pb.GetDownloadUrlRequest(id=export.id), metadata=m
        ),
        "GetDataset": lambda m: catalog.GetDataset(
            catalog_pb.GetDatasetRequest(dataset_name=export.dataset_name), metadata=m
        ),
        "ListDatasets": lambda m: catalog.ListDatasets(
            catalog_pb.ListDatasetsRequest(limit=1), metadata=m
        ),
        "CreateDataset": lambda m: catalog.CreateDataset(
            catalog_pb.CreateDatasetRequest(name=unique("made")), metadata=m
        ),
        "PutImages": lambda m: list(catalog.PutImages(iter([opening]), metadata=m)),
        "CreateExport": lambda m: exports.CreateExport(
            pb.CreateExportRequest(dataset_name=export.dataset_name, name=unique("made")),
            metadata=m,
        ),
        "DeleteExport": lambda m: exports.DeleteExport(
            pb.DeleteExportRequest(id=export.id), metadata=m
        ),
        "BulkDeleteExports": lambda m: exports.BulkDeleteExports(
            pb.BulkDeleteExportsRequest(export_ids=[export.id]), metadata=m
        ),
    }


READING = (
    "ListExports",
    "GetExport",
    "WatchExport",
    "GetDownloadUrl",
    "GetDataset",
    "ListDatasets",
)
WRITING = ("CreateDataset", "PutImages", "CreateExport")
ALL = (*READING, *WRITING, "DeleteExport", "BulkDeleteExports")


def requests(export: pb.Export) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Every REST request on an export: method, path and body; the roles they need ascend."""
    path = f"{EXPORTS}/{export.dataset_name}/{export.name}"
    body = {"dataset_name": export.dataset_name, "name": unique("made")}
    return [
        ("GET", f"{EXPORTS}/", None),
        ("GET", path, None),
        ("GET", f"{EXPORTS}/{export.id}", None),
        ("GET", f"{path}/download", None),
        ("POST", f"{EXPORTS}/", body),
        ("DELETE", path, None),
        ("POST", f"{EXPORTS}/bulk-delete", {"export_ids": [export.id]}),
    ]


def test_a_missing_or_wrong_key(stack: Stack, scenes: str) -> None:
    export = completed(stack, scenes)
    wrong = stack.key("viewer")[:-1] + "!"
    for keys, reason in (
        ((), "API_KEY_MISSING"),
        ((("x-api-key", ""),), "API_KEY_MISSING"),
        ((("x-api-key", wrong),), "API_KEY_INVALID"),
        ((("authorization", f"Bearer {stack.key('viewer')}"),), "API_KEY_MISSING"),
    ):
        for call in calls(stack, export).values():
            with refused(grpc.StatusCode.UNAUTHENTICATED, reason):
                call(keys)
    for method, path, body in requests(export):
        for headers in ({}, {"X-API-Key": wrong}):
            answer = httpx.request(
                method, stack.base_url + path, headers=headers, trust_env=False, json=body
            )
            assert answer.status_code == 401
            assert answer.json()["error"] == "invalid_api_key"
            assert "X-API-Key" in answer.json()["message"]
    assert get(stack, export.id) == export


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", READING), ("member", READING + WRITING), ("admin", ALL)]
)
def test_what_each_role_may_call(
    stack: Stack, scenes: str, role: str, may: tuple[str, ...]
) -> None:
    export = completed(stack, scenes)
    for name, call in calls(stack, export).items():
        if name in may:
            call(stack.metadata(role))
        else:
            with refused(grpc.StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
                call(stack.metadata(role))
    if role == "admin":
        with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
            get(stack, export.id)
    else:
        assert get(stack, export.id) == export


@pytest.mark.parametrize(("role", "forbidden"), [("viewer", 3), ("member", 2), ("admin", 0)])
def test_what_each_role_may_request(stack: Stack, scenes: str, role: str, forbidden: int) -> None:
    every = requests(completed(stack, scenes))
    allowed = len(every) - forbidden
    for number, (method, path, body) in enumerate(every):
        answer = stack.http(role).request(method, path, json=body)
        if number < allowed:
            assert answer.status_code in (200, 201), answer.text
            continue
        assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
        required = "member" if path == f"{EXPORTS}/" else "admin"
        assert answer.json()["details"] == {"required_role": required, "current_role": role}
        assert required in answer.json()["message"]


def test_what_is_foreign_is_not_found(stack: Stack, scenes: str) -> None:
    export = completed(stack, scenes)
    metadata = stack.metadata("owner", FOREIGN)
    called = calls(stack, export)
    for name in ("GetExport", "WatchExport", "GetDownloadUrl", "DeleteExport"):
        with refused(grpc.StatusCode.NOT_FOUND, "EXPORT_NOT_FOUND"):
            called[name](metadata)
    for name in ("GetDataset", "PutImages", "CreateExport"):
        with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
            called[name](metadata)
    by_name = pb.ExportName(dataset_name=scenes, name=export.name)
    for call in (
        lambda: stub(stack).GetExport(pb.GetExportRequest(by_name=by_name), metadata=metadata),
        lambda: list(
            stub(stack).WatchExport(pb.WatchExportRequest(by_name=by_name), metadata=metadata)
        ),
        lambda: stub(stack).GetDownloadUrl(
            pb.GetDownloadUrlRequest(by_name=by_name), metadata=metadata
        ),
        lambda: stub(stack).DeleteExport(
            pb.DeleteExportRequest(by_name=by_name), metadata=metadata
        ),
        lambda: stub(stack).ListExports(
            pb.ListExportsRequest(dataset_name=scenes), metadata=metadata
        ),
    ):
        with refused(grpc.StatusCode.NOT_FOUND, "DATASET_NOT_FOUND"):
            call()
    bulk = called["BulkDeleteExports"](metadata)
    assert (list(bulk.deleted), list(bulk.not_found)) == ([], [export.id])
    every = stub(stack).ListExports(pb.ListExportsRequest(limit=1000), metadata=metadata)
    assert export.id not in [row.id for row in every.exports]
    http = stack.http("owner", FOREIGN)
    for method, path, body in requests(export)[1:-1]:
        answer = http.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        # Word for word what is said of names and ids that nobody has.
        assert answer.text == of_nothing(http, method, path, body, export)
    method, path, body = requests(export)[-1]
    assert http.request(method, path, json=body).json()["not_found"] == [export.id]
    assert get(stack, export.id) == export


def of_nothing(
    http: httpx.Client, method: str, path: str, body: dict[str, Any] | None, export: pb.Export
) -> str:
    """The answer to the same request about names and an id of nobody, with the first put back."""
    others = {
        export.id: str(uuid.uuid4()),
        export.dataset_name: unique("scenes"),
        export.name: unique("export"),
    }
    if body is not None:
        body = {**body, "dataset_name": others[export.dataset_name]}
    for mine, other in others.items():
        path = path.replace(mine, other)
    text = http.request(method, path, json=body).text
    for mine, other in others.items():
        text = text.replace(other, mine)
    return text


def test_the_same_names_in_two_organizations(stack: Stack) -> None:
    dataset = unique("both")
    for organization in (None, FOREIGN):
        put_all(stack, dataset, [Picture("a.jpg", jpeg())], organization=organization)
    mine = completed(stack, dataset)
    http = stack.http("owner", FOREIGN)
    theirs = http.post(f"{EXPORTS}/", json={"dataset_name": dataset, "name": mine.name})
    assert theirs.status_code == 201
    assert theirs.json()["organization_id"] != mine.organization_id
    assert http.delete(f"{EXPORTS}/{dataset}/{mine.name}").status_code == 200
    assert get(stack, mine.id) == mine


def test_an_export_must_be_addressed(stack: Stack) -> None:
    half = pb.ExportName(dataset_name="only")
    for address in (
        pb.GetExportRequest(),
        pb.GetExportRequest(id=""),
        pb.GetExportRequest(by_name=half),
    ):
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", "address"):
            stub(stack).GetExport(address, metadata=stack.metadata("viewer"))
