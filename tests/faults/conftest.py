"""The servers that are disturbed, and stacks on them with short leases.

They are others than those of the rest of the tests. Every stack has a broker of its own, too:
the workers of two stacks would take each other's messages.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.faults.pipeline import SETTINGS, RecordedPipeline, draw_noise
from tests.needs import need_part, object_store_class, postgresql_class
from tests.parts import ObjectStore, Part, PostgreSQL, RabbitMQ, Redis
from tests.stack import Production

P = TypeVar("P", bound=Part)


def _run(part: type[P]) -> Iterator[P]:
    need_part(part)
    server = part()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="package")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that is restarted."""
    yield from _run(postgresql_class())


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ that goes away."""
    yield from _run(RabbitMQ)


@pytest.fixture(scope="package")
def redis() -> Iterator[Redis]:
    """A Redis that forgets."""
    yield from _run(Redis)


@pytest.fixture(scope="package")
def object_store() -> Iterator[ObjectStore]:
    """A MinIO that is killed."""
    yield from _run(object_store_class())


@pytest.fixture(scope="package")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A few images; a dataset has them many times."""
    return draw_noise(tmp_path_factory.mktemp("noise"), 8, seed=3)


@pytest.fixture(scope="package")
def on_rabbitmq(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, object_store: ObjectStore, noise: list[Path]
) -> Iterator[RecordedPipeline]:
    """PostgreSQL, RabbitMQ and MinIO, with two workers."""
    with Production(
        postgresql.create_database(),
        rabbitmq.url,
        object_store,
        name="faults-rabbitmq",
        settings=SETTINGS,
    ) as stack:
        yield RecordedPipeline(stack, noise)


@pytest.fixture(scope="package")
def on_redis(
    postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore, noise: list[Path]
) -> Iterator[RecordedPipeline]:
    """PostgreSQL, Redis and MinIO, with two workers."""
    with Production(
        postgresql.create_database(),
        redis.url,
        object_store,
        name="faults-redis",
        settings=SETTINGS,
    ) as stack:
        yield RecordedPipeline(stack, noise)


@pytest.fixture(params=["on_rabbitmq", "on_redis"])
def pipeline(request: pytest.FixtureRequest) -> RecordedPipeline:
    """Each test that asks for it runs over both brokers."""
    found: RecordedPipeline = request.getfixturevalue(request.param)
    return found
