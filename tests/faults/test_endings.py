"""Exports that end otherwise than well, and what is then left of them."""

import time
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from services.exports.model import staging_prefix
from services.importing.summary import ImportSummary
from tests.faults.pipeline import RecordedPipeline, draw_noise, wait_until

pytestmark = pytest.mark.timeout(240)

EXPORTS = "/api/v1/developer/exports/"
PATH = "odd one/out.png"


@pytest.mark.parametrize("images", [3, 60], ids=["small", "segmented"])
@pytest.mark.parametrize("damage", ["missing", "other bytes", "shorter"])
def test_an_image_that_is_not_what_was_imported(
    on_redis: RecordedPipeline, tmp_path: Path, images: int, damage: str
) -> None:
    name = f"{damage} in {images}"
    dataset = name.replace(" ", "-")
    odd, *others = draw_noise(tmp_path, 4, seed=zlib.crc32(name.encode()), side=300)
    files = [(f"{n}.png", others[n % len(others)]) for n in range(images - 1)]

    def put() -> ImportSummary:
        return on_redis.put(dataset, [*files, (PATH, odd)])

    put()
    key = on_redis.rows(
        "SELECT object_key FROM images JOIN datasets ON datasets.id = dataset_id"
        " WHERE datasets.name = %s AND path = %s",
        dataset,
        PATH,
    )[0][0]
    store = on_redis.objects()
    if damage == "missing":
        store.delete(store.images_bucket, key)
    else:
        content = odd.read_bytes()
        bad = content[:-1] + bytes([content[-1] ^ 1]) if damage == "other bytes" else content[:-1]
        store.put(store.images_bucket, key, bad)
    store.close()

    export_id = on_redis.create(name, dataset)
    message = on_redis.failed(export_id)
    assert PATH in message
    assert ("is missing" if damage == "missing" else "is not the one") in message
    assert "Import the image again" in message
    wait_until(lambda: on_redis.left_in_store(export_id) == [], "nothing is left in the store")

    # What the message advises helps.
    assert put().unchanged.images == images
    on_redis.completed(on_redis.create(f"{name}, mended", dataset))


def test_an_export_that_nobody_builds_fails_at_its_deadline(on_redis: RecordedPipeline) -> None:
    with on_redis.no_worker():
        on_redis.stack.server.stop()
        impatient = on_redis.spawn(
            "impatient",
            "serve",
            CARTOUCHE_EXPORT_DEADLINE="1",
            CARTOUCHE_LEASE="1",
            CARTOUCHE_RECONCILE_INTERVAL="0.5",
        )
        try:
            message = on_redis.failed(on_redis.create("deadline"))
        finally:
            impatient.stop()
            on_redis.stack.server.restart()
    assert "not finished within 0:00:01" in message
    assert "Retry it" in message


def test_an_export_that_is_deleted_half_way_leaves_nothing(on_rabbitmq: RecordedPipeline) -> None:
    # Made before: its first call makes a key, which takes a while.
    admin = on_rabbitmq.stack.http("admin")
    export_id = on_rabbitmq.create("deleted")
    on_rabbitmq.wait_half_way(export_id)
    answer = admin.delete(f"{EXPORTS}noise/deleted")
    assert answer.status_code == 200, answer.text
    assert on_rabbitmq.segments_done(export_id) < 20
    assert on_rabbitmq.stack.http("viewer").get(f"{EXPORTS}noise/deleted").status_code == 404
    wait_until(lambda: is_swept(on_rabbitmq, export_id), "it was swept")
    assert on_rabbitmq.rows("SELECT number FROM steps WHERE export_id = %s", export_id) == [(0,)]
    assert on_rabbitmq.left_in_store(export_id) == []
    # Nobody who was still at it puts something back; what did is swept a second time.
    time.sleep(2)
    assert on_rabbitmq.left_in_store(export_id) == []
    (organization_id,) = on_rabbitmq.rows(
        "SELECT organization_id FROM exports WHERE id = %s", export_id
    )[0]
    with closing(on_rabbitmq.objects()) as store:
        key = f"{staging_prefix(organization_id, export_id)}late"
        store.put(store.exports_bucket, key, b"late", "application/octet-stream")
    on_rabbitmq.rows("UPDATE steps SET due_at = 0 WHERE export_id = %s RETURNING 1", export_id)
    wait_until(
        lambda: on_rabbitmq.rows("SELECT 1 FROM exports WHERE id = %s", export_id) == [],
        "its row is gone",
    )
    assert on_rabbitmq.left_in_store(export_id) == []


def is_swept(pipeline: RecordedPipeline, export_id: str) -> bool:
    """Whether its objects were removed once; its row stays for a second time."""
    query = "SELECT done AND due_at > 0 FROM steps WHERE export_id = %s AND number = 0"
    return pipeline.rows(query, export_id) == [(True,)]


def test_an_archive_is_removed_after_its_time(on_redis: RecordedPipeline) -> None:
    on_redis.put("kept", [("a.png", on_redis.noise[0])])
    with on_redis.only_worker("forgetful", CARTOUCHE_RETENTION="1"):
        export_id = on_redis.create("short-lived", "kept")
        viewer = on_redis.stack.http("viewer")
        wait_until(
            lambda: viewer.get(f"{EXPORTS}kept/short-lived").status_code == 404, "it is gone"
        )
        wait_until(lambda: is_swept(on_redis, export_id), "it was swept")
        assert on_redis.left_in_store(export_id) == []
    assert on_redis.completed(on_redis.create("kept", "kept")).expires_at.seconds > time.time()
