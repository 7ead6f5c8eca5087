"""A step that takes longer than the broker waits for the acknowledgement of its bell."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.pipeline import SETTINGS, RecordedPipeline, wait_until
from tests.needs import need_part
from tests.network import Network
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ
from tests.stack import Production
from workers.archive.segments import MAX_PARTS

pytestmark = pytest.mark.timeout(400)

#: Seconds. RabbitMQ's own is half an hour.
CONSUMER_TIMEOUT = 8
#: Bytes that the worker gets from the store, on each of its connections.
BYTES_PER_SECOND = 500_000.0


@pytest.fixture(scope="module")
def impatient() -> Iterator[RabbitMQ]:
    """A RabbitMQ that closes a channel, and delivers again, soon after a delivery that nobody
    acknowledges."""
    need_part(RabbitMQ)
    # In milliseconds; the second is how often it looks.
    rabbitmq = RabbitMQ(consumer_timeout=CONSUMER_TIMEOUT * 1000, channel_tick_interval=1000)
    try:
        yield rabbitmq.start()
    finally:
        rabbitmq.remove()


def test_a_step_over_the_consumer_timeout_runs_once(
    impatient: RabbitMQ, postgresql: PostgreSQL, object_store: ObjectStore, noise: list[Path]
) -> None:
    with (
        Network(object_store.port) as network,
        Production(
            postgresql.create_database(),
            impatient.url,
            object_store,
            name="faults-long-steps",
            workers=1,
            # Two parts, which one thread builds.
            settings=SETTINGS | {"CARTOUCHE_PART_SIZE": str(80 * 1024 * 1024)},
        ) as stack,
    ):
        stack.env["CARTOUCHE_S3_ENDPOINT"] = network.through(object_store.endpoint)
        pipeline = RecordedPipeline(stack, noise)
        (quick,) = stack.workers
        quick.stop()
        network.bytes_per_second = BYTES_PER_SECOND
        stack.add_worker()
        export_id = pipeline.create("long")
        wait_until(
            lambda: "delivery acknowledgement" in impatient.process.out.read_text(errors="replace"),
            "the broker takes the bell for lost, and closes the channel",
        )
        done = [change.number for change in pipeline.history(export_id) if change.done]
        assert [number for number in done if number <= MAX_PARTS] == []
        network.bytes_per_second = None
        assert pipeline.digest(export_id) == pipeline.reference
        builds = pipeline.builds(export_id)
        assert {number for number in builds if number <= MAX_PARTS} == {1, 2}
        assert set(builds.values()) == {1}
        assert max(change.lost for change in pipeline.history(export_id)) == 0
        # The worker still hears bells.
        assert pipeline.digest(pipeline.create("afterwards")) == pipeline.reference
