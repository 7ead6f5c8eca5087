"""Real servers of three kinds, one after the other for all tests of the adapter."""

from collections.abc import Iterator

import pytest

from services.storage import ObjectStore
from tests import parts
from tests.needs import running
from tests.service.storage.stores import config_of

SERVERS = (parts.MinIO, parts.Rclone, parts.SeaweedFS)
IDS = [server.title.lower() for server in SERVERS]


@pytest.fixture(scope="session", params=SERVERS, ids=IDS)
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
def is_rclone(server: parts.ObjectStore) -> bool:
    """Whether the server is rclone, which differs from the others in a few answers."""
    return isinstance(server, parts.Rclone)


@pytest.fixture(params=SERVERS, ids=IDS)
def own_server(request: pytest.FixtureRequest) -> Iterator[parts.ObjectStore]:
    """A server that the test may kill."""
    yield from running(request.param)
