"""Networks that go dark and servers that stand still: whoever waits for them stops waiting."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Barrier
from typing import Any

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from services.database.engine import Database
from services.errors import Unavailable
from services.settings import Settings
from tests.faults.pipeline import wait_until
from tests.network import Network
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ
from tests.stack import Production

pytestmark = pytest.mark.timeout(240)

#: Seconds within which a wait for the database has ended.
BOUND = 20.0
SERVICE = "cartouche.exports.v1.ExportService"

Fault = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def network(postgresql: PostgreSQL) -> Iterator[Network]:
    """What lies between Cartouche and its database."""
    with Network(postgresql.port) as network:
        yield network


@pytest.fixture(params=["dark network", "server that stands still"])
def fault(request: pytest.FixtureRequest, network: Network, postgresql: PostgreSQL) -> Fault:
    """Nothing comes back from the database, and no error either."""

    @contextmanager
    def standing_still() -> Iterator[None]:
        postgresql.pause()
        try:
            yield
        finally:
            postgresql.resume()

    return network.dark if request.param == "dark network" else standing_still


def test_every_wait_for_the_database_ends(
    fault: Fault, network: Network, postgresql: PostgreSQL
) -> None:
    url = network.through(postgresql.create_database())
    database = Database(Settings(database_url=url).sqlalchemy_url)
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (number INT)")

    def in_a_transaction(comes: Callable[[], object]) -> None:
        with database.write() as connection:
            connection.exec_driver_sql("SELECT 1")
            comes()
            connection.exec_driver_sql("SELECT 1")

    def with_many_rows(comes: Callable[[], object]) -> None:
        with database.write() as connection:
            comes()
            rows = [(number,) for number in range(1000)]
            connection.exec_driver_sql("INSERT INTO numbers VALUES (%s)", rows)

    def in_the_middle_of_a_read(comes: Callable[[], object]) -> None:
        with database.snapshot() as connection:
            query = "SELECT repeat('x', 10000) FROM generate_series(1, 10000)"
            options = {"stream_results": True, "yield_per": 10}
            with connection.exec_driver_sql(query, execution_options=options) as rows:
                next(rows)
                comes()
                list(rows)

    def at_the_commit(comes: Callable[[], object]) -> None:
        with database.write() as connection:
            connection.exec_driver_sql("SELECT 1")
            comes()

    def with_a_connection_of_before(comes: Callable[[], object]) -> None:
        database.ping()
        comes()
        database.ping()

    ways = (
        in_a_transaction,
        with_many_rows,
        in_the_middle_of_a_read,
        at_the_commit,
        with_a_connection_of_before,
    )
    ready, struck = Barrier(len(ways) + 1), Barrier(len(ways) + 1)

    def comes() -> None:
        ready.wait(BOUND)
        struck.wait(BOUND)

    try:
        with ThreadPoolExecutor(len(ways)) as pool:
            ends = {way.__name__: pool.submit(way, comes) for way in ways}
            ready.wait(BOUND)
            with fault():
                struck.wait(BOUND)
                raised = {name: end.exception(BOUND) for name, end in ends.items()}
        assert {name: type(error) for name, error in raised.items()} == dict.fromkeys(
            ends, Unavailable
        )
        database.ping()
    finally:
        database.close()


@pytest.fixture(scope="module")
def far(
    network: Network, postgresql: PostgreSQL, rabbitmq: RabbitMQ, object_store: ObjectStore
) -> Iterator[Production]:
    """A server and a gateway that reach their database over the network."""
    with Production(
        network.through(postgresql.create_database()),
        rabbitmq.url,
        object_store,
        name="faults-far",
        workers=0,
    ) as stack:
        yield stack


def test_calls_end_and_health_tells(fault: Fault, far: Production) -> None:
    exports = ExportServiceStub(far.channel)
    # Its stubs do not declare the methods.
    health: Any = HealthStub(far.channel)

    def list_exports() -> grpc.StatusCode:
        try:
            exports.ListExports(
                pb.ListExportsRequest(), metadata=far.metadata("viewer"), timeout=BOUND
            )
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    def is_serving() -> bool:
        answer = health.Check(HealthCheckRequest(service=SERVICE), timeout=10)
        return bool(answer.status == HealthCheckResponse.SERVING)

    wait_until(is_serving, "the service is ready")
    assert list_exports() is grpc.StatusCode.OK
    with fault(), ThreadPoolExecutor(16) as pool:
        # As many as the server has threads for them.
        ends = [pool.submit(list_exports) for _ in range(16)]
        assert {end.result(2 * BOUND) for end in ends} == {grpc.StatusCode.UNAVAILABLE}
        wait_until(lambda: not is_serving(), "the service is not ready")
        answer = far.http("member").post(
            "/api/v1/developer/exports/", json={"dataset_name": "any", "name": "any"}
        )
        assert answer.status_code == 503, answer.text
    wait_until(is_serving, "the service is ready again")
    assert list_exports() is grpc.StatusCode.OK
