"""The servers that are disturbed, and stacks on them with short leases.

They are others than those of the rest of the tests. Every stack has a broker of its own, too:
the workers of two stacks would take each other's messages.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.pipeline import RecordedPipeline, draw_noise, recorded
from tests.needs import object_store_class, postgresql_class, running
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ, Redis


@pytest.fixture(scope="package")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL that is restarted."""
    yield from running(postgresql_class())


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ that goes away."""
    yield from running(RabbitMQ)


@pytest.fixture(scope="package")
def redis() -> Iterator[Redis]:
    """A Redis that forgets."""
    yield from running(Redis)


@pytest.fixture(scope="package")
def object_store() -> Iterator[ObjectStore]:
    """A MinIO that is killed."""
    yield from running(object_store_class())


@pytest.fixture(scope="package")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A few images; a dataset has them many times."""
    return draw_noise(tmp_path_factory.mktemp("noise"), 8, seed=3)


@pytest.fixture(scope="package")
def on_rabbitmq(
    postgresql: PostgreSQL, rabbitmq: RabbitMQ, object_store: ObjectStore, noise: list[Path]
) -> Iterator[RecordedPipeline]:
    """PostgreSQL, RabbitMQ and MinIO, with two workers."""
    with recorded(postgresql, rabbitmq, object_store, noise, "faults-rabbitmq") as pipeline:
        yield pipeline


@pytest.fixture(scope="package")
def on_redis(
    postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore, noise: list[Path]
) -> Iterator[RecordedPipeline]:
    """PostgreSQL, Redis and MinIO, with two workers."""
    with recorded(postgresql, redis, object_store, noise, "faults-redis") as pipeline:
        yield pipeline


@pytest.fixture(params=["on_rabbitmq", "on_redis"])
def pipeline(request: pytest.FixtureRequest) -> RecordedPipeline:
    """Each test that asks for it runs over both brokers."""
    found: RecordedPipeline = request.getfixturevalue(request.param)
    return found
