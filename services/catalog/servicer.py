"""CatalogService over gRPC: messages in, domain calls, messages out."""

import asyncio
from collections.abc import AsyncIterator

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1 import catalog_service_pb2_grpc as rpc

from services.catalog import datasets, messages
from services.catalog.class_messages import class_of
from services.catalog.deletion import MAX_PATHS, delete_dataset, delete_images
from services.catalog.held_bytes import HeldBytes
from services.catalog.put_stream import STREAMS_BYTES, PutStream
from services.database.engine import Database
from services.errors import AlreadyExists, Invalid, NotFound
from services.identity.roles import Role
from services.rpc.caller import caller
from services.rpc.paging import page
from services.rpc.requests import check_request
from services.storage import ObjectStore


class CatalogServicer(rpc.CatalogServiceServicer):
    """Roles: reading viewer; writing member; deleting admin."""

    def __init__(self, database: Database, store: ObjectStore, import_space: int) -> None:
        """`import_space`: bytes of disk that images on their way in take at most."""
        self._database = database
        self._store = store
        self._held = HeldBytes(STREAMS_BYTES)
        self._on_disk = HeldBytes(import_space)

    def CreateDataset(
        self, request: pb.CreateDatasetRequest, context: grpc.ServicerContext
    ) -> pb.CreateDatasetResponse:
        who = caller()
        who.require(Role.member)
        made = datasets.create_dataset(
            self._database,
            who.organization_id,
            request.name,
            [class_of(item) for item in request.classes],
        )
        return pb.CreateDatasetResponse(dataset=messages.dataset_message(made))

    def GetDataset(
        self, request: pb.GetDatasetRequest, context: grpc.ServicerContext
    ) -> pb.GetDatasetResponse:
        found = datasets.get_dataset(self._database, caller().organization_id, request.dataset_name)
        return pb.GetDatasetResponse(dataset=messages.dataset_message(found))

    def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.ListDatasetsResponse:
        limit, offset = page(request.limit, request.offset)
        found, total = datasets.list_datasets(
            self._database, caller().organization_id, limit, offset
        )
        return pb.ListDatasetsResponse(datasets=map(messages.dataset_message, found), total=total)

    def DeleteImages(
        self, request: pb.DeleteImagesRequest, context: grpc.ServicerContext
    ) -> pb.DeleteImagesResponse:
        who = caller()
        who.require(Role.admin)
        if not 1 <= len(request.paths) <= MAX_PATHS:
            raise Invalid.of("paths", f"give 1 to {MAX_PATHS} paths")
        deleted, not_found = delete_images(
            self._database, who.organization_id, request.dataset_name, request.paths
        )
        return pb.DeleteImagesResponse(deleted=deleted, not_found=not_found)

    def DeleteDataset(
        self, request: pb.DeleteDatasetRequest, context: grpc.ServicerContext
    ) -> pb.DeleteDatasetResponse:
        who = caller()
        who.require(Role.admin)
        deleted = delete_dataset(self._database, who.organization_id, request.dataset_name)
        return pb.DeleteDatasetResponse(dataset=messages.dataset_message(deleted))

    async def PutImages(
        self, request_iterator: AsyncIterator[pb.PutImagesRequest], context: object
    ) -> AsyncIterator[pb.PutImagesResponse]:
        who = caller()
        who.require(Role.member)
        requests = aiter(request_iterator)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "open":
            raise Invalid.of("message", "the first message of the stream is open")
        dataset_id = await asyncio.to_thread(self._open, who.organization_id, first.open)
        stream = PutStream(
            self._database,
            self._store,
            who.organization_id,
            dataset_id,
            self._held,
            self._on_disk,
            takes_lists=first.open.batches,
        )
        async for response in stream.run(requests):
            yield response

    def _open(self, organization_id: str, request: pb.PutImagesOpen) -> str:
        """The id of the dataset that a stream writes to, with the classes it asks for."""
        check_request(request)
        wanted = [class_of(item) for item in request.classes]
        datasets.check_classes(wanted)
        try:
            found = self._find(organization_id, request.dataset_name)
        except NotFound:
            if not request.create_dataset:
                raise
            try:
                return datasets.create_dataset(
                    self._database, organization_id, request.dataset_name, wanted
                ).id
            except AlreadyExists:
                found = self._find(organization_id, request.dataset_name)
        with self._database.write() as connection:
            datasets.append_classes(connection, found.id, wanted)
        return found.id

    def _find(self, organization_id: str, name: str) -> datasets.Dataset:
        with self._database.read() as connection:
            return datasets.find_dataset(connection, organization_id, name)
