"""Workers that are killed, stand still, or are told to end in the middle of an export."""

import time

import pytest

from tests.faults.pipeline import PART_SIZE, RecordedPipeline, wait_until

pytestmark = pytest.mark.timeout(240)


def test_a_killed_worker_costs_only_the_segment_it_built(pipeline: RecordedPipeline) -> None:
    export_id = pipeline.create("killed worker")
    held = pipeline.halt_half_way(export_id)
    victim, other = pipeline.stack.workers
    built = {change.number for change in pipeline.history(export_id) if change.done}
    victim.kill()
    other.resume()
    try:
        assert pipeline.digest(export_id) == pipeline.reference
    finally:
        pipeline.restore_workers()
    builds = pipeline.builds(export_id)
    assert len(builds) >= 20
    assert {number: builds[number] for number in built} == dict.fromkeys(built, 1)
    again = {number for number, count in builds.items() if count > 1}
    assert again
    assert again <= set(held)


@pytest.mark.parametrize("wakes", ["meanwhile", "afterwards"])
def test_a_worker_that_wakes_after_its_lease_changes_nothing(
    on_rabbitmq: RecordedPipeline, wakes: str
) -> None:
    export_id = on_rabbitmq.create(f"zombie {wakes}")
    held = on_rabbitmq.halt_half_way(export_id)
    zombie, other = on_rabbitmq.stack.workers
    other.resume()
    try:
        wait_until(
            lambda: any(on_rabbitmq.builds(export_id)[number] == 2 for number in held),
            "the segment is claimed again",
            pause=0.005,
        )
        if wakes == "meanwhile":
            zombie.resume()
        digest = on_rabbitmq.digest(export_id)
    finally:
        zombie.resume()
    assert digest == on_rabbitmq.reference
    version = on_rabbitmq.rows("SELECT version FROM exports WHERE id = %s", export_id)
    history = on_rabbitmq.history(export_id)
    # The zombie ends what it was at within this time.
    time.sleep(2)
    assert on_rabbitmq.rows("SELECT version FROM exports WHERE id = %s", export_id) == version
    assert on_rabbitmq.history(export_id) == history
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    wait_until(
        lambda: (
            [k.rpartition("/")[2] for k in on_rabbitmq.left_in_store(export_id)] == ["archive.zip"]
        ),
        "only the archive is left",
    )
    builds = on_rabbitmq.builds(export_id)
    assert {number for number, count in builds.items() if count > 1} <= set(held)


def test_a_worker_that_is_told_to_end_gives_its_segment_back(
    on_rabbitmq: RecordedPipeline,
) -> None:
    # Segments that take a while to build.
    with on_rabbitmq.only_worker("ends", CARTOUCHE_PART_SIZE=str(20 * PART_SIZE)) as worker:
        export_id = on_rabbitmq.create("told to end")
        wait_until(
            lambda: bool(on_rabbitmq.segments_held(export_id)), "it builds a segment", pause=0.002
        )
        asked_at = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - asked_at < 10
        assert on_rabbitmq.segments_held(export_id) == []
        assert not any(change.done for change in on_rabbitmq.history(export_id))
    assert on_rabbitmq.digest(export_id) == on_rabbitmq.reference
    history = on_rabbitmq.history(export_id)
    assert max(change.attempt for change in history) == 2
    assert max(change.lost for change in history) == 0


def test_a_segment_that_kills_its_workers_ends_the_export(on_rabbitmq: RecordedPipeline) -> None:
    export_id = ""

    def claims() -> int:
        return sum(on_rabbitmq.builds(export_id).values())

    def is_over() -> bool:
        return on_rabbitmq.rows("SELECT stage FROM exports WHERE id = %s", export_id) == [("done",)]

    with on_rabbitmq.only_worker(
        "poisoned", CARTOUCHE_PART_SIZE=str(20 * PART_SIZE), CARTOUCHE_LEASE="1"
    ) as worker:
        export_id = on_rabbitmq.create("poison")
        deaths = claimed = 0
        while True:
            wait_until(lambda: claims() > claimed or is_over(), "it is claimed", pause=0.002)  # noqa: B023
            if is_over():
                break
            worker.kill()
            deaths += 1
            claimed = claims()
            worker.start()
            worker.wait_ready()
        message = on_rabbitmq.failed(export_id)
    assert 3 <= deaths < 8
    assert "3 workers died" in message
    assert "memory" in message
    wait_until(lambda: on_rabbitmq.left_in_store(export_id) == [], "nothing is left in the store")
