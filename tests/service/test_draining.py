"""What a server's end means for the streams that are open."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from grpc_status import rpc_status

from examples.grpc_client import Exports
from tests.datasets import Picture, jpeg, unique
from tests.exports import create, details_of, stub
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.stack import Production

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def idle(postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore) -> Iterator[Production]:
    """A Cartouche without workers: its exports stay pending."""
    broker_url = redis.url.replace("/0", "/3")
    with Production(
        postgresql.create_database(), broker_url, object_store, name="draining", workers=0
    ) as stack:
        yield stack


@pytest.fixture
def pending(idle: Production) -> pb.Export:
    """An export that nothing happens to."""
    dataset = unique("draining")
    CatalogServiceStub(idle.channel).CreateDataset(
        catalog_pb.CreateDatasetRequest(name=dataset), metadata=idle.metadata(), timeout=30
    )
    return create(idle, dataset)


@contextmanager
def open_streams(stack: Production, export: pb.Export) -> Iterator[list[Any]]:
    """A call of every streaming method, which lasts until one side ends it."""
    silent = threading.Event()

    def then_silent(*messages: Any) -> Iterator[Any]:
        yield from messages
        silent.wait()

    # Its stubs do not declare the methods.
    health: Any = HealthStub(stack.channel)
    reflection: Any = ServerReflectionStub(stack.channel)
    opening = catalog_pb.PutImagesOpen(dataset_name=export.dataset_name)
    calls: list[Any] = [
        stub(stack).WatchExport(
            pb.WatchExportRequest(id=export.id), metadata=stack.metadata("viewer")
        ),
        CatalogServiceStub(stack.channel).PutImages(
            then_silent(
                catalog_pb.PutImagesRequest(open=opening),
                *Picture("a.jpg", jpeg()).requests(),
            ),
            metadata=stack.metadata("member"),
        ),
        health.Watch(HealthCheckRequest()),
        reflection.ServerReflectionInfo(then_silent(ServerReflectionRequest(list_services=""))),
    ]
    try:
        yield calls
    finally:
        silent.set()
        for call in calls:
            call.cancel()


@contextmanager
def stopping(stack: Production) -> Iterator[Callable[[], int]]:
    """The server is told to end by SIGTERM; gives its exit code, once it has."""
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(stack.server.stop)
        yield code.result
    stack.server.start()
    stack.server.wait_ready()


def test_streams_are_told_to_connect_again(idle: Production, pending: pb.Export) -> None:
    """At once: a stream that is cut at the end of the grace is told nothing."""
    with open_streams(idle, pending) as calls:
        for call in calls:
            next(call)
        with stopping(idle) as exit_code:
            for call in calls:
                with pytest.raises(grpc.RpcError) as raised:
                    next(call)
                assert call.code() is grpc.StatusCode.UNAVAILABLE
                assert "connect again" in call.details()
                info, _ = details_of(raised.value)
                assert (info.reason, info.domain) == ("SERVER_STOPPING", "cartouche")
                status, wait = rpc_status.from_call(call), RetryInfo()
                assert status is not None
                assert any(detail.Unpack(wait) for detail in status.details)
                assert wait.retry_delay.seconds == 1
            assert exit_code() == 0
    with open_streams(idle, pending) as again:
        for call in again:
            next(call)


def test_the_example_watches_on_after_a_restart(idle: Production, pending: pb.Export) -> None:
    with grpc.insecure_channel(idle.grpc_address) as channel:
        watched = Exports(channel, idle.key("viewer")).watch(pending.id)
        assert next(watched).id == pending.id
        with stopping(idle) as exit_code:
            assert exit_code() == 0
        assert next(watched).id == pending.id
