"""Bells are few, whatever waits."""

import time

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.datasets import Picture, jpeg, put_all
from tests.exports import create, refused
from tests.faults.pipeline import SETTINGS, RecordedPipeline, wait_until

#: Exports wait for as long as nobody works.
pytestmark = pytest.mark.timeout(480)

WAITING = 200


def test_bells_in_the_broker_do_not_follow_the_backlog(on_rabbitmq: RecordedPipeline) -> None:
    """A bell for every waiting export, again and again, would be thousands here."""
    on_rabbitmq.put("tiny", [("a.png", on_rabbitmq.noise[0])])
    with on_rabbitmq.no_worker():
        before = rung(on_rabbitmq)
        ids = [on_rabbitmq.create(f"waits {number}", "tiny") for number in range(WAITING)]
        # As long as several sweeps of the reconciler take.
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert on_rabbitmq.bells() <= 2
            time.sleep(0.25)
        refuses_what_is_over_the_quota(on_rabbitmq)

    # Nor do they where all is built: one for each lane, and one that each thread passes on.
    free = 2 + 2 * int(SETTINGS["CARTOUCHE_WORKER_THREADS"])
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, on_rabbitmq.bells())
        query = "SELECT count(*) FROM exports WHERE id = ANY(%s) AND status = 'completed'"
        return on_rabbitmq.rows(query, ids) == [(WAITING,)]

    wait_until(is_over, "all of them are completed")
    assert most <= free
    # As many messages in all as there were steps to pass on, and looks of idle threads.
    assert rung(on_rabbitmq) - before <= 2 * WAITING


def rung(pipeline: RecordedPipeline) -> float:
    """How many bells the processes that run have sent."""
    names = [name for name, process in pipeline.stack.processes.items() if process.running]
    return sum(
        sample.value
        for name in names
        for family in text_string_to_metric_families(pipeline.stack.look(name, "/metrics").text)
        for sample in family.samples
        if sample.name == "cartouche_bells_total" and sample.labels["outcome"] == "rung"
    )


def refuses_what_is_over_the_quota(pipeline: RecordedPipeline) -> None:
    """With the number and what to do, over both protocols."""
    stack, organization = pipeline.stack, "crowded"
    client = stack.http("member", organization)
    stack.command("work-limits", "--organization", organization, "--pending-exports", "1")
    put_all(stack, "few", [Picture("a.jpg", jpeg())], organization=organization)
    body = {"dataset_name": "few", "name": "first"}
    assert client.post("/api/v1/developer/exports/", json=body).status_code == 201
    answer = client.post("/api/v1/developer/exports/", json=body | {"name": "second"})
    assert answer.status_code == 429
    assert answer.json()["error"] == "quota_exceeded"
    assert "1 exports of the organization wait" in answer.json()["message"]
    assert 0 < int(answer.headers["Retry-After"]) <= 120
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"):
        create(stack, "few", "third", organization=organization)
    # Its own row is not to wait for ever.
    client.delete("/api/v1/developer/exports/few/first")
