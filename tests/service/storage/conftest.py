"""A real MinIO and a real rclone server, one after the other for all tests of the adapter."""

from collections.abc import Iterator

import pytest

from services.storage import ObjectStore
from tests import parts
from tests.needs import running
from tests.service.storage.stores import config_of


@pytest.fixture(scope="session", params=[parts.MinIO, parts.Rclone], ids=["minio", "rclone"])
def server(request: pytest.FixtureRequest) -> Iterator[parts.ObjectStore]:
    """A server that lives through the tests."""
    yield from running(request.param)


@pytest.fixture(scope="session")
def store(server: parts.ObjectStore) -> Iterator[ObjectStore]:
    """The adapter to the server, with its buckets."""
    store = ObjectStore(config_of(server))
    store.ensure_buckets()
    yield store
    store.close()


@pytest.fixture
def is_minio(server: parts.ObjectStore) -> bool:
    """Whether the server is MinIO, which differs from rclone in a few answers."""
    return isinstance(server, parts.MinIO)


@pytest.fixture(params=[parts.MinIO, parts.Rclone], ids=["minio", "rclone"])
def own_server(request: pytest.FixtureRequest) -> Iterator[parts.ObjectStore]:
    """A server that the test may kill."""
    yield from running(request.param)
