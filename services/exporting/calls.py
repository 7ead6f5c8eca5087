"""The calls of ExportService that the command line makes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import grpc
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.errors import CartoucheError, Unavailable
from services.importing.client import error_of
from services.importing.endpoint import Endpoint
from services.importing.unary import Response, answered

_PAGE = 1_000
#: Ids that the server takes in one call.
_IDS = 1_000

#: An export by its id, or by its dataset and its name.
Address = str | tuple[str, str]


class Exports:
    """The exports of an organization, over gRPC. Every call raises CartoucheError as the server
    says, and Unavailable where there is no answer."""

    def __init__(self, channel: grpc.Channel, api_key: str) -> None:
        self._stub = ExportServiceStub(channel)
        self._api_key = api_key

    def create(self, request: pb.CreateExportRequest) -> pb.Export:
        """Makes an export; it is built in the background."""
        return self._call(self._stub.CreateExport, request).export

    def preview(self, request: pb.PreviewExportRequest) -> pb.PreviewExportResponse:
        """What `create` would make of it."""
        return self._call(self._stub.PreviewExport, request)

    def get(self, address: Address) -> pb.Export:
        """An export as it is now."""
        request = pb.GetExportRequest(**_address(address))
        return self._call(self._stub.GetExport, request).export

    def find(
        self,
        dataset: str,
        status: "pb.ExportStatus.ValueType",
        formats: Sequence[str],
        limit: int,
        offset: int,
    ) -> tuple[list[pb.Export], int]:
        """Exports, newest first, and how many match in all; a `limit` of 0 is all of them."""
        found: list[pb.Export] = []
        while True:
            page = min(limit - len(found), _PAGE) if limit else _PAGE
            request = pb.ListExportsRequest(
                dataset_name=dataset,
                status=status,
                formats=formats,
                limit=page,
                offset=offset + len(found),
            )
            answer = self._call(self._stub.ListExports, request)
            found += answer.exports
            if not answer.exports or len(found) == limit or offset + len(found) >= answer.total:
                return found, answer.total

    def watch(self, address: Address) -> Iterator[pb.Export]:
        """The export now and after every change, until it has ended. The watch begins again where
        a server shuts down.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        request = pb.WatchExportRequest(**_address(address))
        has_failed = False
        while True:
            try:
                metadata = (("x-api-key", self._api_key),)
                for answer in self._stub.WatchExport(request, metadata=metadata):
                    has_failed = False
                    yield answer.export
            except grpc.RpcError as error:
                failure = error_of(cast("grpc.Call", error))
                # Once more at once, for another server may be there; then it is away.
                if has_failed or not isinstance(failure, Unavailable):
                    raise failure from None
                has_failed = True
            else:
                return

    def download_url(self, address: Address) -> pb.GetDownloadUrlResponse:
        """A link to the archive, with what it should be."""
        request = pb.GetDownloadUrlRequest(**_address(address))
        return self._call(self._stub.GetDownloadUrl, request)

    def retry(self, address: Address, *, fresh: bool) -> pb.Export:
        """Takes a failed export up again."""
        request = pb.RetryExportRequest(**_address(address), fresh=fresh)
        return self._call(self._stub.RetryExport, request).export

    def cancel(self, address: Address) -> pb.Export:
        """Ends an export that is waiting or being built."""
        request = pb.CancelExportRequest(**_address(address))
        return self._call(self._stub.CancelExport, request).export

    def delete(self, address: Address) -> None:
        """Removes an export with its archive."""
        self._call(self._stub.DeleteExport, pb.DeleteExportRequest(**_address(address)))

    def delete_many(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Removes exports by their ids: those that were there, and those that were not."""
        deleted: list[str] = []
        not_found: list[str] = []
        for start in range(0, len(ids), _IDS):
            request = pb.BulkDeleteExportsRequest(export_ids=ids[start : start + _IDS])
            answer = self._call(self._stub.BulkDeleteExports, request)
            deleted += answer.deleted
            not_found += answer.not_found
        return deleted, not_found

    def _call(self, method: "Callable[..., Response]", request: object) -> Response:
        return answered(method, request, self._api_key)


@contextmanager
def open_exports(server: Endpoint, api_key: str) -> Iterator[Exports]:
    """The exports of the organization of the API key.

    Raises:
        CartoucheError: as the calls say.
    """
    with server.channel() as channel:
        try:
            yield Exports(channel, api_key)
        except Unavailable as error:
            raise CartoucheError(
                error.reason,
                f"no answer from {server.address}: {error.message}. Check the address, that the "
                "server runs, and whether it wants TLS (CARTOUCHE_SERVER_CA).",
            ) from None


def _address(address: Address) -> dict[str, Any]:
    if isinstance(address, str):
        return {"id": address}
    dataset, name = address
    return {"by_name": pb.ExportName(dataset_name=dataset, name=name)}
