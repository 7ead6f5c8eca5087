"""The servers and stacks that tests ask for by name, and what a run says about them."""

from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import binaries
from tests.needs import FALLBACKS, object_store_class, postgresql_class, running
from tests.parts import PARTS, ObjectStore, PgServerWheel, PostgreSQL, RabbitMQ, Redis
from tests.secrets import leaks_of
from tests.stack import Embedded, Production, Stack, running_stacks

# A busy machine is slow, and no failure.
settings.register_profile("cartouche", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cartouche")

TOOLS = (
    *("unzip", "7z", "bsdtar", "curl", "openssl", "grpcurl", "ghz", "helm"),
    *("prometheus", "promtool", "toxiproxy", "chromium"),
)


def pytest_report_header() -> list[str]:
    """Which servers and tools the run uses, what falls back and what does not run."""
    used = [f"{part.title} {part.version()}" for part in PARTS if not part.missing()]
    tools = [tool for tool in TOOLS if binaries.find(tool)]
    lines = [f"servers: {', '.join(used)}", f"tools: {', '.join(tools) or 'none'}"]
    for part in PARTS:
        if reason := part.missing():
            instead = FALLBACKS.get(part)
            lines.append(
                f"{part.title} falls back to {instead.title}: {reason}"
                if instead
                else f"{part.title} does not run: {reason}"
            )
    absent = [tool for tool in TOOLS if tool not in tools]
    return [*lines, *(f"{tool} does not run: {binaries.missing(tool)}" for tool in absent)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows, with a failing test, the logs of the stacks that it uses."""
    report = yield
    if report.failed:
        used = getattr(item, "funcargs", {}).values()
        for stack in running_stacks:
            # Some tests have it with something around it.
            if any(stack in (value, getattr(value, "stack", None)) for value in used):
                report.sections.append((f"logs of {stack.name}", stack.log()))
    return report


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL; from the wheel where the system has none."""
    yield from running(postgresql_class())


@pytest.fixture(scope="session")
def pgserver_wheel() -> Iterator[PgServerWheel]:
    """PostgreSQL from the wheel, a newer release than Debian's."""
    yield from running(PgServerWheel)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """RabbitMQ."""
    yield from running(RabbitMQ)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """Redis."""
    yield from running(Redis)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """MinIO; rclone's server where MinIO cannot be built."""
    yield from running(object_store_class())


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    """Cartouche as `cartouche run` serves it."""
    with Embedded() as stack:
        yield stack
        assert leaks_of(stack) == []


@pytest.fixture(scope="session")
def production(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, object_store: ObjectStore
) -> Iterator[Production]:
    """Cartouche on PostgreSQL, RabbitMQ and MinIO, with two workers."""
    with Production(postgresql.create_database(), rabbitmq.url, object_store) as stack:
        yield stack
        assert leaks_of(stack) == []


@pytest.fixture(scope="session")
def production_redis(
    pgserver_wheel: PgServerWheel, redis: Redis, object_store: ObjectStore
) -> Iterator[Production]:
    """Cartouche on the wheel's PostgreSQL, Redis and MinIO, with two workers."""
    database_url = pgserver_wheel.create_database()
    with Production(database_url, redis.url, object_store, name="production-redis") as stack:
        yield stack


@pytest.fixture(scope="session", params=["embedded", "production"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each test that asks for it runs on both stacks."""
    running: Stack = request.getfixturevalue(request.param)
    return running
