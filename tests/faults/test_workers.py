"""Workers that are killed, stand still, or are told to end in the middle of an export."""

import json
import os
import signal
import time
from contextlib import suppress

import httpx
import pytest

from tests.faults.pipeline import PART_SIZE, RecordedPipeline, wait_until
from tests.network import Network
from tests.parts import ObjectStore
from tests.processes import free_port
from tests.stack import CartoucheProcess

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


def test_only_the_step_that_kills_is_blamed(on_rabbitmq: RecordedPipeline) -> None:
    names = ("innocent", "poison", "innocent too")
    settings = {
        "CARTOUCHE_PART_SIZE": str(20 * PART_SIZE),
        "CARTOUCHE_LEASE": "1",
        "CARTOUCHE_RECONCILE_INTERVAL": "0.5",
        "CARTOUCHE_WORKER_THREADS": "8",
    }
    with on_rabbitmq.only_worker("crowded", **settings) as worker:
        # It takes them all at once.
        worker.pause()
        ids = {name: on_rabbitmq.create(name) for name in names}
        worker.resume()

        def held() -> set[str]:
            return {name for name, found in ids.items() if on_rabbitmq.segments_held(found)}

        wait_until(lambda: held() == set(names), "all of them are being built", pause=0.002)
        worker.kill()
        worker.start()
        worker.wait_ready()
        killed: set[int] = set()

        def is_over() -> bool:
            for pid in processes_of(worker, ids["poison"], 1) - killed:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            return on_rabbitmq.rows("SELECT stage FROM exports WHERE id = %s", ids["poison"]) == [
                ("done",)
            ]

        wait_until(is_over, "the poison is over", pause=0.005)
        poisoned = on_rabbitmq.ended(ids["poison"])
        assert poisoned.error_code == "worker_lost"
        assert "3 processes died" in poisoned.error_message
        assert "memory" in poisoned.error_message
        # Three, and those whose lease was over before their worker saw them dead: such a step
        # vanished, which is a death only the third time.
        assert len(killed) >= 3
        for name in names:
            if name != "poison":
                on_rabbitmq.completed(ids[name])
                assert processes_of(worker, ids[name])
                assert max(change.lost for change in on_rabbitmq.history(ids[name])) == 0


def processes_of(worker: CartoucheProcess, export_id: str, segment: int = 0) -> set[int]:
    """The processes that a worker says it has made for single steps of an export."""
    lines = [line for line in worker.err.read_bytes().splitlines() if b"runs alone" in line]
    said = [json.loads(line) for line in lines]
    return {
        line["pid"]
        for line in said
        if line["export_id"] == export_id and segment in (0, line.get("segment"))
    }


def test_a_step_that_stands_still_is_taken_over(
    on_rabbitmq: RecordedPipeline, object_store: ObjectStore
) -> None:
    """Its worker lives, and renews the leases of its other steps."""
    port = object_store.port
    with on_rabbitmq.no_worker(), Network(port) as network:
        stuck = on_rabbitmq.spawn(
            "stuck",
            "worker",
            CARTOUCHE_S3_ENDPOINT=network.through(object_store.endpoint),
            CARTOUCHE_PART_SIZE=str(20 * PART_SIZE),
            CARTOUCHE_LEASE="1",
            CARTOUCHE_RECONCILE_INTERVAL="0.5",
            CARTOUCHE_STALL="2",
        )
        try:
            export_id = on_rabbitmq.create("stuck")
            wait_until(
                lambda: bool(on_rabbitmq.segments_held(export_id)), "it is built", pause=0.002
            )
            with network.dark():
                wait_until(
                    lambda: b"stands still" in stuck.err.read_bytes(), "the worker gives it up"
                )
                other = on_rabbitmq.spawn("other", "worker")
                on_rabbitmq.completed(export_id)
                other.stop()
        finally:
            stuck.kill()


def test_a_worker_that_the_store_refuses_blames_no_export(on_rabbitmq: RecordedPipeline) -> None:
    port = free_port()
    with on_rabbitmq.only_worker(
        "unfit", CARTOUCHE_S3_SECRET_KEY="wrong", CARTOUCHE_METRICS_PORT=str(port)
    ) as worker:
        export_id = on_rabbitmq.create("unfit")
        wait_until(lambda: b"takes no steps" in worker.err.read_bytes(), "the worker says so")
        health = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
        assert health.status_code == 503
        assert "CARTOUCHE_S3_SECRET_KEY" in health.json()["faults"]["fitness"]
        time.sleep(3)
        assert on_rabbitmq.builds(export_id) == {}
        fit = on_rabbitmq.spawn("fit", "worker")
        on_rabbitmq.completed(export_id)
        fit.stop()


def test_a_running_export_is_cancelled_within_seconds(on_rabbitmq: RecordedPipeline) -> None:
    with on_rabbitmq.only_worker(
        "cancelled", CARTOUCHE_PART_SIZE=str(20 * PART_SIZE), CARTOUCHE_LEASE="30"
    ):
        export_id = on_rabbitmq.create("cancelled")
        wait_until(
            lambda: bool(on_rabbitmq.segments_held(export_id)), "it is being built", pause=0.002
        )
        asked_at = time.monotonic()
        answer = on_rabbitmq.stack.http("member").post(
            f"/api/v1/developer/exports/{export_id}/cancel"
        )
        assert answer.json()["error_code"] == "cancelled", answer.text
        wait_until(lambda: on_rabbitmq.left_in_store(export_id) == [], "nothing is left")
        assert on_rabbitmq.segments_held(export_id) == []
        # Long before its lease, which would be renewed only after ten seconds.
        assert time.monotonic() - asked_at < 10
