"""What gRPC clients may rely on beside the services: errors, health, reflection, request ids."""

import json
import subprocess
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from google.rpc.error_details_pb2 import RequestInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from tests.datasets import unique
from tests.exports import details_of, stub
from tests.needs import need_tool
from tests.stack import Stack

EXPORT_SERVICE = "cartouche.exports.v1.ExportService"
CATALOG_SERVICE = "cartouche.catalog.v1.CatalogService"
WEBHOOK_SERVICE = "cartouche.webhooks.v1.WebhookService"
SERVICES = {
    EXPORT_SERVICE,
    CATALOG_SERVICE,
    WEBHOOK_SERVICE,
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}


def trailing(call: Any) -> dict[str, str | bytes]:
    return dict(call.trailing_metadata())


@pytest.mark.parametrize("service", ["", EXPORT_SERVICE, CATALOG_SERVICE])
def test_health_needs_no_key(stack: Stack, service: str) -> None:
    # Its stubs do not declare the methods.
    health: Any = HealthStub(stack.channel)
    answer = health.Check(HealthCheckRequest(service=service), timeout=10)
    assert answer.status == HealthCheckResponse.SERVING


def test_reflection_lists_and_describes_the_services(stack: Stack) -> None:
    database = ProtoReflectionDescriptorDatabase(stack.channel)
    assert set(database.get_services()) == SERVICES
    file = database.FindFileContainingSymbol(EXPORT_SERVICE)
    methods = {method.name for service in file.service for method in service.method}
    assert {"CreateExport", "WatchExport", "BulkDeleteExports"} <= methods


def test_errors_carry_details(stack: Stack) -> None:
    name = unique("nothing")
    metadata = (*stack.metadata("viewer"), ("x-request-id", "from-a-test"))
    with pytest.raises(grpc.RpcError) as raised:
        CatalogServiceStub(stack.channel).GetDataset(
            catalog_pb.GetDatasetRequest(dataset_name=name), metadata=metadata
        )
    info, violations = details_of(raised.value)
    assert (info.reason, info.domain) == ("DATASET_NOT_FOUND", "cartouche")
    assert info.metadata == {"dataset_name": name}
    assert violations == {}
    assert isinstance(raised.value, grpc.Call)
    status = rpc_status.from_call(raised.value)
    assert status is not None
    told = RequestInfo()
    assert any(detail.Unpack(told) for detail in status.details)
    assert told.request_id == "from-a-test"
    assert trailing(raised.value)["x-request-id"] == "from-a-test"


def test_bad_fields_are_violations(stack: Stack, scenes: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub(stack).CreateExport(
            pb.CreateExportRequest(dataset_name=scenes, name="", format="x"),
            metadata=stack.metadata("member"),
        )
    info, violations = details_of(raised.value)
    assert (info.reason, info.domain) == ("INVALID_ARGUMENT", "cartouche")
    assert set(violations) == {"name", "format"}
    assert "use one of pictograph, " in violations["format"]


def test_request_ids_are_echoed_or_made(stack: Stack, scenes: str) -> None:
    exports = stub(stack)
    with_id = (*stack.metadata("viewer"), ("x-request-id", "abc-123"))
    _, call = exports.ListExports.with_call(pb.ListExportsRequest(), metadata=with_id)
    assert trailing(call)["x-request-id"] == "abc-123"
    made = set()
    for _ in range(2):
        _, call = exports.ListExports.with_call(
            pb.ListExportsRequest(), metadata=stack.metadata("viewer")
        )
        made.add(trailing(call)["x-request-id"])
    assert len(made - {""}) == 2
    opening = catalog_pb.PutImagesRequest(open=catalog_pb.PutImagesOpen(dataset_name=scenes))
    stream = CatalogServiceStub(stack.channel).PutImages(
        iter([opening]), metadata=(*stack.metadata("member"), ("x-request-id", "abc-124"))
    )
    assert list(stream) == []
    assert trailing(stream)["x-request-id"] == "abc-124"
    with pytest.raises(grpc.RpcError) as raised:
        exports.ListExports(pb.ListExportsRequest(), metadata=(("x-request-id", "abc-125"),))
    assert trailing(raised.value)["x-request-id"] == "abc-125"


def test_a_request_id_is_in_the_logs(stack: Stack) -> None:
    request_id = unique("traced")
    answer = stack.http("viewer").get(
        "/api/v1/developer/exports/", headers={"X-Request-Id": request_id}
    )
    assert answer.headers["X-Request-Id"] == request_id
    assert f'"request_id":"{request_id}"' in stack.log(200_000)


def test_an_unknown_method_is_unimplemented(stack: Stack) -> None:
    call: Any = stack.channel.unary_unary(f"/{EXPORT_SERVICE}/Nothing")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=10)
    assert isinstance(raised.value, grpc.Call)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def grpcurl(stack: Stack, *arguments: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    headers = ("-H", f"x-api-key: {key}") if key else ()
    return subprocess.run(
        [need_tool("grpcurl"), "-plaintext", *headers, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def messages(text: str) -> list[dict[str, Any]]:
    """The JSON objects that grpcurl prints one after the other."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while position < len(text.rstrip()):
        value, position = decoder.raw_decode(text, position)
        found.append(value)
        position += 1
    return found


def test_grpcurl_lists_creates_and_watches(stack: Stack, scenes: str) -> None:
    listed = grpcurl(stack, stack.grpc_address, "list")
    assert listed.returncode == 0, listed.stderr
    assert set(listed.stdout.split()) == SERVICES
    key, name = stack.key("member"), unique("export")
    request = json.dumps({"dataset_name": scenes, "name": name, "format": "coco"})
    created = grpcurl(
        stack, "-d", request, stack.grpc_address, f"{EXPORT_SERVICE}/CreateExport", key=key
    )
    assert created.returncode == 0, created.stderr
    export_id = json.loads(created.stdout)["export"]["id"]
    watched = grpcurl(
        stack,
        *("-d", json.dumps({"by_name": {"dataset_name": scenes, "name": name}})),
        *(stack.grpc_address, f"{EXPORT_SERVICE}/WatchExport"),
        key=key,
    )
    assert watched.returncode == 0, watched.stderr
    last = messages(watched.stdout)[-1]["export"]
    assert (last["id"], last["status"]) == (export_id, "EXPORT_STATUS_COMPLETED")
    refused = grpcurl(
        stack, "-d", request, stack.grpc_address, f"{EXPORT_SERVICE}/CreateExport", key=key
    )
    assert refused.returncode != 0
    assert "AlreadyExists" in refused.stderr
    assert "EXPORT_EXISTS" in refused.stderr
