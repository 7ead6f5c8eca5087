"""Brokers, stores, databases and servers that go away in the middle of an export."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.database.engine import Database
from services.settings import Settings
from tests.faults.pipeline import (
    DATASET,
    SETTINGS,
    Pipeline,
    RecordedPipeline,
    wait_until,
)
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ, Rclone, Redis
from tests.stack import Embedded, Production

pytestmark = pytest.mark.timeout(240)

EXPORTS = "/api/v1/developer/exports/"


def test_an_export_is_created_while_the_broker_is_away(
    on_rabbitmq: RecordedPipeline, rabbitmq: RabbitMQ
) -> None:
    rabbitmq.stop()
    try:
        answer = on_rabbitmq.stack.http("member").post(
            EXPORTS,
            json={
                "dataset_name": DATASET,
                "name": "no broker",
                "format": "coco",
                "include_images": True,
            },
        )
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] == "pending"
    finally:
        rabbitmq.start()
    assert on_rabbitmq.digest(answer.json()["id"]) == on_rabbitmq.reference


def test_messages_that_the_broker_lost_are_sent_again(
    on_redis: RecordedPipeline, redis: Redis
) -> None:
    export_id = on_redis.create("lost messages")
    on_redis.wait_half_way(export_id)
    redis.restart()
    assert on_redis.segments_done(export_id) < 20
    assert on_redis.digest(export_id) == on_redis.reference
    assert set(on_redis.builds(export_id).values()) == {1}


def test_a_database_that_restarts(on_rabbitmq: RecordedPipeline, postgresql: PostgreSQL) -> None:
    export_id = on_rabbitmq.create("database restart")
    on_rabbitmq.wait_half_way(export_id)
    postgresql.restart()
    built = {change.number for change in on_rabbitmq.history(export_id) if change.done}
    assert len(built) < 20
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    builds = on_rabbitmq.builds(export_id)
    assert {builds[number] for number in built} == {1}


def test_a_process_that_stands_still_keeps_its_locks_only_so_long(postgresql: PostgreSQL) -> None:
    database = Database(Settings(database_url=postgresql.url).sqlalchemy_url)
    with database.read() as connection:
        limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar()
    database.close()
    assert limit == "2min"


def test_a_store_that_is_away_for_some_seconds(
    on_rabbitmq: RecordedPipeline, object_store: ObjectStore
) -> None:
    export_id = on_rabbitmq.create("no store")
    on_rabbitmq.wait_half_way(export_id)
    object_store.kill()
    try:
        built = {change.number for change in on_rabbitmq.history(export_id) if change.done}
        time.sleep(3)
    finally:
        object_store.start()
    assert len(built) < 20
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    builds = on_rabbitmq.builds(export_id)
    assert {builds[number] for number in built} == {1}


def test_a_store_that_stands_still(
    on_rabbitmq: RecordedPipeline, object_store: ObjectStore
) -> None:
    export_id = on_rabbitmq.create("store stands still")
    on_rabbitmq.wait_half_way(export_id)
    object_store.pause()
    try:
        # Longer than a lease: workers that wait for the store keep theirs.
        time.sleep(6)
    finally:
        object_store.resume()
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    assert set(on_rabbitmq.builds(export_id).values()) == {1}


@pytest.fixture
def rclone() -> Iterator[Rclone]:
    """An rclone of its own: what it forgets, others must not miss."""
    server = Rclone()
    try:
        yield server.start()
    finally:
        server.remove()


def test_a_store_that_forgets_its_uploads(
    postgresql: PostgreSQL, redis: Redis, rclone: Rclone, noise: list[Path]
) -> None:
    broker_url = redis.url.replace("/0", "/1")
    with Production(
        postgresql.create_database(), broker_url, rclone, name="faults-rclone", settings=SETTINGS
    ) as stack:
        pipeline = RecordedPipeline(stack, noise)
        export_id = pipeline.create("forgotten upload")
        pipeline.wait_half_way(export_id)
        rclone.restart()
        assert pipeline.digest(export_id) == pipeline.reference
        assert max(pipeline.builds(export_id).values()) >= 2
        wait_until(
            lambda: (
                [k.rpartition("/")[2] for k in pipeline.left_in_store(export_id)] == ["archive.zip"]
            ),
            "only the archive is left",
        )


@pytest.fixture(scope="module")
def alone(noise: list[Path]) -> Iterator[Pipeline]:
    """`cartouche run`: when it is killed, its broker and its store are gone too."""
    with Embedded("faults-embedded", SETTINGS | {"CARTOUCHE_LEASE": "10"}) as stack:
        yield Pipeline(stack, noise)


def test_a_server_that_dies_after_its_answer_keeps_its_word(alone: Pipeline) -> None:
    run = alone.stack.processes["run"]
    export_id = alone.create("killed after the answer")
    run.kill()
    run.start()
    run.wait_ready()
    assert alone.digest(export_id) == alone.undisturbed()


def test_a_machine_that_dies_in_the_middle(alone: Pipeline) -> None:
    run = alone.stack.processes["run"]
    export_id = alone.create("killed half-way")
    wait_until(lambda: alone.export(export_id).progress > 0.2, "it is under way", pause=0.01)
    run.kill()
    run.start()
    run.wait_ready()
    assert alone.export(export_id).completed_at.seconds == 0
    assert alone.digest(export_id) == alone.digest(alone.create("undisturbed again"))
