"""The stacks that are disturbed: their own, with short leases, apart from those of other tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.pipeline import SETTINGS, RecordedPipeline, draw_noise
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ, Redis
from tests.stack import Production


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A few images; a dataset has them many times."""
    return draw_noise(tmp_path_factory.mktemp("noise"), 8, seed=3)


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
