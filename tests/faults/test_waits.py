"""Networks that go dark and servers that stand still: whoever waits for them stops waiting."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Barrier, Thread
from typing import Any

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from dramatiq.middleware import Shutdown
from dramatiq.threading import raise_thread_exception
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from services.database.engine import Database
from services.doorbell import QUEUE, Doorbell, connect_broker
from services.errors import Unavailable
from services.identity.rate_limits import RateLimiter
from services.identity.roles import Caller, Role
from services.process.signals import GRACE
from services.settings import Settings
from tests.datasets import Picture, jpeg, noise_jpeg, put_all, unique
from tests.exports import create, watch
from tests.faults.pipeline import wait_until
from tests.needs import running
from tests.network import Network
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ, Redis
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

    how: str = request.param
    return lambda: hanging(how, postgresql, network)


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


def test_who_is_told_to_end_does_so_while_the_database_is_silent(
    network: Network, postgresql: PostgreSQL
) -> None:
    """By an exception of its own, and by no error of the database that the interruption makes."""
    url = network.through(postgresql.create_database())
    database = Database(Settings(database_url=url).sqlalchemy_url)
    raised: list[type[BaseException]] = []

    def look() -> None:
        try:
            database.ping()
        except BaseException as error:
            raised.append(type(error))

    try:
        # The connection that the pool keeps is tried out before it is used again.
        database.ping()
        looking = Thread(target=look)
        with network.dark():
            looking.start()
            time.sleep(0.5)
            assert looking.ident is not None
            raise_thread_exception(looking.ident, Shutdown)  # type: ignore[no-untyped-call]
            looking.join(2)
        assert raised == [Shutdown]
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


@pytest.mark.parametrize("how", ["dark network", "server that stands still"])
def test_a_counter_that_hangs_lets_calls_through(
    how: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caller = Caller(unique("key"), "organization", Role.viewer)
    with Network(redis.port) as network:
        limiter = RateLimiter(network.through(redis.url), 1000)
        wait_until(lambda: limiter.count(caller) is not None, "calls are counted")
        caplog.clear()
        with ThreadPoolExecutor(1) as pool, hanging(how, redis, network):
            # All of them together wait about as long as the one that finds out.
            counted = pool.submit(lambda: [limiter.count(caller) for _ in range(100)])
            assert counted.result(2) == [None] * 100
            # Somebody looks again meanwhile, and says nothing more.
            time.sleep(1.2)
            assert limiter.count(caller) is None
        wait_until(lambda: limiter.count(caller) is not None, "calls are counted again")
    said = [record.message for record in caplog.records if "rate_limits" in record.name]
    assert said == ["calls are not counted for the moment", "calls are counted again"]


@contextmanager
def hanging(how: str, server: PostgreSQL | Redis, network: Network) -> Iterator[None]:
    """A server that takes what is sent to it, and gives nothing back."""
    if how == "dark network":
        with network.dark():
            yield
        return
    server.pause()
    try:
        yield
    finally:
        server.resume()


@pytest.fixture(scope="module", params=["rabbitmq", "redis"])
def lonely_broker(request: pytest.FixtureRequest) -> Iterator[RabbitMQ | Redis]:
    """A broker on which no other stack takes the messages."""
    yield from running(RabbitMQ) if request.param == "rabbitmq" else running(Redis)


def test_the_doorbell_rings_again_after_a_dark_time(
    lonely_broker: RabbitMQ | Redis, caplog: pytest.LogCaptureFixture
) -> None:
    def gave_up() -> bool:
        return any("did not ring" in record.message for record in caplog.records)

    with Network(lonely_broker.port) as network:
        broker = connect_broker(network.through(lonely_broker.url))
        doorbell = Doorbell(broker)
        try:
            doorbell.ring("before")
            wait_until(lambda: "before" in heard(lonely_broker), "the bell is heard")
            caplog.clear()
            with network.dark():
                doorbell.ring("in the dark")
                wait_until(gave_up, "the doorbell gives up")
            doorbell.ring("after")
            wait_until(lambda: "after" in heard(lonely_broker), "the bell is heard again")
        finally:
            doorbell.close()
            broker.close()


def heard(server: RabbitMQ | Redis) -> list[str]:
    """What was rung since the last look."""
    broker = connect_broker(server.url)
    broker.declare_queue(QUEUE)
    consumer = broker.consume(QUEUE, prefetch=10, timeout=500)
    found: list[str] = []
    while (message := next(consumer)) is not None:
        consumer.ack(message)
        found += message.args
    consumer.close()
    broker.close()
    return found


def test_a_worker_outlives_the_dark_and_ends_in_it(
    lonely_broker: RabbitMQ | Redis, postgresql: PostgreSQL, object_store: ObjectStore
) -> None:
    with (
        Network(lonely_broker.port) as network,
        Production(
            postgresql.create_database(),
            network.through(lonely_broker.url),
            object_store,
            name="faults-dark-broker",
            workers=1,
        ) as stack,
    ):
        dataset = unique("dark")
        put_all(stack, dataset, [Picture("a.jpg", jpeg())])
        with network.dark():
            made = create(stack, dataset, format="coco")
        assert watch(stack, made.id)[-1].status == pb.EXPORT_STATUS_COMPLETED
        with network.dark():
            assert stack.workers[0].stop() == 0
            assert stack.server.stop() == 0


@pytest.mark.parametrize(
    ("part", "is_alone"), [("database", False), ("database", True), ("store", False)]
)
def test_who_is_told_to_end_does_so_whatever_is_dark(
    part: str, is_alone: bool, postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> None:
    """In the middle of steps, of threads that heard a bell and of those that looked by themselves,
    within the grace that supervisors give."""
    with (
        Network(postgresql.port) as to_database,
        Network(object_store.port) as to_store,
        Production(
            to_database.through(postgresql.create_database()),
            redis.url,
            object_store,
            name=f"faults-dark-{part}",
            workers=1,
            settings={
                "CARTOUCHE_S3_ENDPOINT": to_store.through(object_store.endpoint),
                "CARTOUCHE_LEASE": "2",
                "CARTOUCHE_RECONCILE_INTERVAL": "0.1",
            },
        ) as stack,
    ):
        (worker,) = stack.workers
        dataset = unique("dark")
        put_all(stack, dataset, [Picture(f"{n}.jpg", noise_jpeg(n, 1500)) for n in range(4)])
        # So slow that the step goes on for as long as it takes here.
        to_store.bytes_per_second = 100_000
        for _ in range(6):
            create(stack, dataset, format="coco", include_images=True)
        wait_until(lambda: held(stack) == 4, "all of it is at work")
        if is_alone:
            worker.kill()
            worker.start()
            worker.wait_ready()
            wait_until(lambda: b"runs alone" in worker.err.read_bytes(), "it runs alone")
        wait_until(lambda: held(stack) == 4, "all of it is at work")
        with (to_database if part == "database" else to_store).dark():
            # Whoever calls a part waits for it by then.
            time.sleep(2)
            with ThreadPoolExecutor(2) as pool:
                codes = pool.map(lambda process: process.stop(GRACE + 5), (worker, stack.server))
                assert [*codes] == [0, 0]


def held(stack: Production) -> int:
    """How many steps somebody is at work on."""
    database = Database(Settings(database_url=stack.env["CARTOUCHE_DATABASE_URL"]).sqlalchemy_url)
    try:
        with database.read() as connection:
            found = connection.exec_driver_sql("SELECT count(*) FROM steps WHERE held")
            return int(found.scalar_one())
    finally:
        database.close()
