"""Exports over gRPC, made from the published stubs: deadlines, retries and typed errors.

Run it:

    pip install grpcio grpcio-status      # and protos/ on the Python path
    CARTOUCHE_API_KEY=pk_live_… python examples/grpc_client.py street-scenes
"""

import json
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from cartouche.exports.v1.export_service_pb2 import (
    EXPORT_STATUS_COMPLETED,
    CreateExportRequest,
    DeleteExportRequest,
    Export,
    ExportName,
    GetDownloadUrlRequest,
    GetExportRequest,
    ListExportsRequest,
    WatchExportRequest,
)
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

NAME = "example with gRPC"
#: Seconds until a call is given up; every attempt counts against it.
DEADLINE = 10

#: gRPC sends a call again by itself where the server is away for a moment. Creating may be
#: repeated too, for it carries an idempotency key.
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [{"service": "cartouche.exports.v1.ExportService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


class ExportsError(Exception):
    """A refusal: `reason` is for programs, the message for people."""

    def __init__(self, error: Any) -> None:
        # What a stub raises is a grpc.RpcError, and the call too.
        super().__init__(error.details())
        self.code: grpc.StatusCode = error.code()
        self.reason = ""
        self.fields: dict[str, str] = {}
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            if detail.Is(ErrorInfo.DESCRIPTOR):
                info = ErrorInfo()
                detail.Unpack(info)
                self.reason = info.reason
            elif detail.Is(BadRequest.DESCRIPTOR):
                request = BadRequest()
                detail.Unpack(request)
                self.fields = {v.field: v.description for v in request.field_violations}


class Exports:
    """The calls of ExportService, with the key, a deadline and typed errors on each."""

    def __init__(self, channel: grpc.Channel, api_key: str) -> None:
        self._stub = ExportServiceStub(channel)
        self._metadata = (("x-api-key", api_key),)

    def call(self, method: str, request: object, deadline: float = DEADLINE) -> Any:
        """The answer of a call.

        Raises:
            ExportsError: the server refused, or could not be reached before the deadline.
        """
        try:
            return getattr(self._stub, method)(
                request, timeout=deadline, metadata=self._metadata, wait_for_ready=True
            )
        except grpc.RpcError as error:
            raise ExportsError(error) from None

    def watch(self, export_id: str, deadline: float = 300) -> Iterator[Export]:
        """The export, now and after every change, until it has ended."""
        request = WatchExportRequest(id=export_id)
        ends = time.monotonic() + deadline
        while True:
            try:
                for answer in self._stub.WatchExport(
                    request,
                    timeout=max(0, ends - time.monotonic()),
                    metadata=self._metadata,
                    wait_for_ready=True,
                ):
                    yield answer.export
                return
            except grpc.RpcError as error:
                # A server that shuts down ends its streams so.
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise ExportsError(error) from None
            time.sleep(1)


def connect(server: str, options: list[tuple[str, str]]) -> grpc.Channel:
    """A channel: with TLS where CARTOUCHE_SERVER_CA names the file of those who vouch for the
    server, and with a certificate of its own where the server asks for one."""
    trusted, certificate, key = (
        Path(os.environ[name]).read_bytes() if os.environ.get(name) else None
        for name in ("CARTOUCHE_SERVER_CA", "CARTOUCHE_CLIENT_CERTIFICATE", "CARTOUCHE_CLIENT_KEY")
    )
    if trusted is None:
        return grpc.insecure_channel(server, options)
    return grpc.secure_channel(
        server, grpc.ssl_channel_credentials(trusted, key, certificate), options
    )


def main(dataset: str) -> None:
    """Creates an export, watches it, downloads its archive, and deletes it."""
    address = ExportName(dataset_name=dataset, name=NAME)
    server = os.environ.get("CARTOUCHE_SERVER", "127.0.0.1:50051")
    options = [("grpc.service_config", json.dumps(SERVICE_CONFIG))]
    with connect(server, options) as channel:
        exports = Exports(channel, os.environ["CARTOUCHE_API_KEY"])
        try:
            exports.call(
                "CreateExport", CreateExportRequest(dataset_name=dataset, name=NAME, format="bmp")
            )
        except ExportsError as error:
            print(f"{error.code.name}, {error.reason}: {error.fields}")

        request = CreateExportRequest(
            dataset_name=dataset,
            name=NAME,
            format="coco",
            include_images=True,
            idempotency_key=uuid.uuid4().hex,
        )
        made = exports.call("CreateExport", request).export
        for export in exports.watch(made.id):
            print(f"{export.name}: {export.progress:.0%}")
        if export.status != EXPORT_STATUS_COMPLETED:
            sys.exit(export.error_message)

        answer = exports.call("GetDownloadUrl", GetDownloadUrlRequest(by_name=address))
        with urllib.request.urlopen(answer.download_url, timeout=60) as archive:
            Path("grpc.zip").write_bytes(archive.read())
        print(f"grpc.zip: {Path('grpc.zip').stat().st_size} bytes, CRC-32 {answer.crc32:08x}")

        page = exports.call("ListExports", ListExportsRequest(dataset_name=dataset, limit=10))
        print(f"{len(page.exports)} of {page.total} exports")

        exports.call("DeleteExport", DeleteExportRequest(by_name=address))
        try:
            exports.call("GetExport", GetExportRequest(by_name=address))
        except ExportsError as error:
            print(f"{error.code.name}, {error.reason}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
