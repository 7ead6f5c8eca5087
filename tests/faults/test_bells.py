"""Bells are few, whatever waits."""

import time

import pytest

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
    wait_until(
        lambda: (
            on_rabbitmq.rows(
                "SELECT count(*) FROM exports WHERE id = ANY(%s) AND status = 'completed'", ids
            )
            == [(WAITING,)]
        ),
        "all of them are completed",
    )
