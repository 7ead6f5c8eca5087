"""What people do with datasets from the command line: list them, delete them, or images of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub

from services.importing.dataset import NO_KEY, WrongUsage
from services.importing.endpoint import Endpoint
from services.importing.unary import Response, answered

_PAGE = 1_000
#: Paths that the server takes in one call.
_PATHS = 1_000


class Catalog:
    """The datasets of an organization, over gRPC. Every call raises CartoucheError as the server
    says, and Unavailable where there is no answer."""

    def __init__(self, channel: grpc.Channel, api_key: str) -> None:
        self._stub = CatalogServiceStub(channel)
        self._api_key = api_key

    def datasets(self) -> Iterator[pb.Dataset]:
        """All datasets, by name."""
        offset = 0
        while True:
            request = pb.ListDatasetsRequest(limit=_PAGE, offset=offset)
            answer = self._call(self._stub.ListDatasets, request)
            yield from answer.datasets
            offset += len(answer.datasets)
            if not answer.datasets or offset >= answer.total:
                return

    def dataset(self, name: str) -> pb.Dataset:
        """One dataset, by name or slug."""
        request = pb.GetDatasetRequest(dataset_name=name)
        return self._call(self._stub.GetDataset, request).dataset

    def delete_dataset(self, name: str) -> pb.Dataset:
        """Deletes a dataset, by name or slug; as it was."""
        request = pb.DeleteDatasetRequest(dataset_name=name)
        return self._call(self._stub.DeleteDataset, request).dataset

    def delete_images(self, dataset: str, paths: Sequence[str]) -> tuple[int, list[str]]:
        """Deletes images: how many there were, and the paths that are not in the dataset."""
        deleted = 0
        not_found: list[str] = []
        for start in range(0, len(paths), _PATHS):
            request = pb.DeleteImagesRequest(
                dataset_name=dataset, paths=paths[start : start + _PATHS]
            )
            answer = self._call(self._stub.DeleteImages, request)
            deleted += len(answer.deleted)
            not_found += answer.not_found
        return deleted, not_found

    def _call(self, method: "Callable[..., Response]", request: object) -> Response:
        return answered(method, request, self._api_key)


@contextmanager
def open_catalog(server: Endpoint, api_key: str) -> Iterator[Catalog]:
    """The catalog of the server, for the organization of the API key.

    Raises:
        WrongUsage: no key is given.
    """
    if not api_key:
        raise WrongUsage(NO_KEY)
    with server.channel() as channel:
        yield Catalog(channel, api_key)
