"""Workers that take short exports alone, and long ones alone."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.datasets import Picture, noise_jpeg, put_all
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.stack import CartoucheProcess, Production

EXPORTS = "/api/v1/developer/exports/"


@pytest.fixture
def stack(postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore) -> Iterator[Production]:
    settings = {
        "CARTOUCHE_PART_SIZE": str(5 * 1024 * 1024),
        # Nobody looks by himself in time: what is built, a bell has begun.
        "CARTOUCHE_LEASE": "120",
        "CARTOUCHE_RECONCILE_INTERVAL": "100",
    }
    with Production(
        postgresql.create_database(),
        f"{redis.url.rsplit('/', 1)[0]}/9",
        object_store,
        name="lanes",
        workers=0,
        settings=settings,
    ) as running:
        put_all(running, "large", [Picture(f"{n:02}.jpg", noise_jpeg(n), []) for n in range(12)])
        put_all(running, "small", [Picture("one.jpg", noise_jpeg(1), [])])
        yield running


def worker(stack: Production, lane: str) -> CartoucheProcess:
    stack.env["CARTOUCHE_WORKER_LANES"] = lane
    return stack.spawn(f"worker-{lane}", "worker").wait_ready()


def create(stack: Production, dataset: str, name: str) -> None:
    made = stack.http("member").post(
        EXPORTS, json={"dataset_name": dataset, "name": name, "include_images": True}
    )
    assert made.status_code == 201, made.text


def state(stack: Production, dataset: str, name: str) -> Any:
    return stack.http("member").get(f"{EXPORTS}{dataset}/{name}").json()["status"]


def completed(stack: Production, dataset: str, name: str) -> None:
    deadline = time.monotonic() + 30
    while (found := state(stack, dataset, name)) != "completed":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_each_takes_its_lane_and_passes_other_bells_on(stack: Production) -> None:
    worker(stack, "long")
    create(stack, "small", "waits")
    create(stack, "large", "first")
    completed(stack, "large", "first")
    assert state(stack, "small", "waits") == "pending"
    # The bell that the other one could not follow goes round until somebody can.
    worker(stack, "short")
    completed(stack, "small", "waits")
    stack.processes["worker-long"].stop()
    create(stack, "large", "second")
    create(stack, "small", "second")
    completed(stack, "small", "second")
    assert state(stack, "large", "second") == "pending"
