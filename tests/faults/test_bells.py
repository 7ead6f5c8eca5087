"""Bells are few, whatever waits."""

import time

import grpc
import pytest

from tests.datasets import Picture, jpeg, put_all
from tests.exports import create, refused
from tests.faults.pipeline import RecordedPipeline, wait_until

#: Exports wait for as long as nobody works.
pytestmark = pytest.mark.timeout(480)

WAITING = 200


def test_bells_in_the_broker_do_not_follow_the_backlog(on_rabbitmq: RecordedPipeline) -> None:
    """A bell for every waiting export, again and again, would be thousands here."""
    on_rabbitmq.put("tiny", [("a.png", on_rabbitmq.noise[0])])
    with on_rabbitmq.no_worker():
        ids = [on_rabbitmq.create(f"waits {number}", "tiny") for number in range(WAITING)]
        # As long as several sweeps of the reconciler take.
        until = time.monotonic() + 5
        while time.monotonic() < until:
            assert on_rabbitmq.bells() <= 2
            time.sleep(0.25)
        refuses_what_is_over_the_quota(on_rabbitmq)
    wait_until(
        lambda: (
            on_rabbitmq.rows(
                "SELECT count(*) FROM exports WHERE id = ANY(%s) AND status = 'completed'", ids
            )
            == [(WAITING,)]
        ),
        "all of them are completed",
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
