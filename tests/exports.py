"""Exports as tests make, watch and fetch them, over gRPC; and what the store holds of them."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from services.storage import ObjectStore, StorageConfig
from services.storage.embedded import HOST
from tests.datasets import key_of, unique
from tests.parts import REGION
from tests.stack import Production, Stack

#: Seconds that one export may take on a busy machine.
PATIENCE = 60.0


def stub(stack: Stack) -> ExportServiceStub:
    """The service's methods."""
    return ExportServiceStub(stack.channel)


def create(
    stack: Stack,
    dataset: str,
    name: str = "",
    *,
    role: str = "member",
    organization: str | None = None,
    **fields: Any,
) -> pb.Export:
    """A new export, as CreateExport answers."""
    request = pb.CreateExportRequest(dataset_name=dataset, name=name or unique("export"), **fields)
    answer = stub(stack).CreateExport(
        request, metadata=key_of(stack, role, organization), timeout=30
    )
    return answer.export


def watch(stack: Stack, export_id: str, organization: str | None = None) -> list[pb.Export]:
    """Everything that WatchExport sends of an export until it ends."""
    answers = stub(stack).WatchExport(
        pb.WatchExportRequest(id=export_id),
        metadata=key_of(stack, "viewer", organization),
        timeout=PATIENCE,
    )
    return [answer.export for answer in answers]


def get(stack: Stack, export_id: str, organization: str | None = None) -> pb.Export:
    """An export by its id."""
    answer = stub(stack).GetExport(
        pb.GetExportRequest(id=export_id),
        metadata=key_of(stack, "viewer", organization),
        timeout=30,
    )
    return answer.export


def completed(stack: Stack, dataset: str, name: str = "", **fields: Any) -> pb.Export:
    """A new export, once it is completed."""
    last = watch(stack, create(stack, dataset, name, **fields).id)[-1]
    assert last.status == pb.EXPORT_STATUS_COMPLETED, last
    return last


def failed(stack: Stack, dataset: str, **fields: Any) -> pb.Export:
    """A new export, once it has failed."""
    last = watch(stack, create(stack, dataset, **fields).id)[-1]
    assert last.status == pb.EXPORT_STATUS_FAILED, last
    return last


def download(stack: Stack, export_id: str) -> bytes:
    """The bytes of an archive, by its link and without a key."""
    link = stub(stack).GetDownloadUrl(
        pb.GetDownloadUrlRequest(id=export_id), metadata=stack.metadata("viewer"), timeout=30
    )
    answer = httpx.get(link.download_url, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return answer.content


def unzip(data: bytes) -> zipfile.ZipFile:
    """The archive, once every entry's CRC is checked."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    return archive


def read_json(archive: zipfile.ZipFile, name: str) -> Any:
    """A JSON file of an archive."""
    return json.loads(archive.read(name))


@contextmanager
def refused(
    code: grpc.StatusCode, reason: str, *fields: str
) -> Iterator[Callable[[], grpc.RpcError]]:
    """The block must end with a call that is refused for this reason and these fields.

    Gives the error, for when the block has ended.
    """
    with pytest.raises(grpc.RpcError) as raised:
        yield lambda: raised.value
    error = raised.value
    assert error.code() is code, error
    info, violations = details_of(error)
    assert (info.reason, info.domain) == (reason, "cartouche")
    assert tuple(violations) == fields


def details_of(error: grpc.RpcError) -> tuple[ErrorInfo, dict[str, str]]:
    """The ErrorInfo of an error, and its field violations."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    assert status is not None
    assert status.message == error.details()
    info, violations = ErrorInfo(), BadRequest()
    assert any(detail.Unpack(info) for detail in status.details)
    for detail in status.details:
        detail.Unpack(violations)
    return info, {item.field: item.description for item in violations.field_violations}


@contextmanager
def object_store(stack: Stack) -> Iterator[ObjectStore]:
    """The object store of a stack, with keys that may do everything."""
    if isinstance(stack, Production):
        endpoint, keys = stack.store.endpoint, stack.store.credentials
        access_key, secret_key = keys.access_key, keys.secret_key
        buckets = stack.images_bucket, stack.exports_bucket
    else:
        saved = json.loads((stack.folder / "home" / "store.json").read_text())
        endpoint = f"http://{HOST}:{saved['port']}"
        access_key, secret_key = saved["access_key"], saved["secret_key"]
        buckets = "cartouche-images", "cartouche-exports"
    store = ObjectStore(
        StorageConfig(
            endpoint=endpoint,
            public_endpoint=endpoint,
            region=REGION,
            access_key=access_key,
            secret_key=secret_key,
            signing_access_key=access_key,
            signing_secret_key=secret_key,
            images_bucket=buckets[0],
            exports_bucket=buckets[1],
        )
    )
    try:
        yield store
    finally:
        store.close()


def left_of(stack: Stack, export: pb.Export) -> list[str]:
    """The keys of everything that the store holds of an export, unfinished uploads included."""
    prefix = f"{export.organization_id}/{export.id}/"
    with object_store(stack) as store:
        objects = [info.key for info in store.list(store.exports_bucket, prefix)]
        return objects + [upload.key for upload in store.list_uploads(f"{prefix}archive.zip")]
