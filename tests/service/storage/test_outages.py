"""Stores that die, and come back."""

from collections.abc import Iterator
from datetime import timedelta
from zlib import crc32

import pytest

from services.storage import ObjectStore, StorageUnavailable, UploadNotFound
from tests import parts
from tests.service.storage.stores import IMAGES, MIB, config_of, noise


def test_a_dead_store_is_unavailable_and_a_restarted_one_works(
    own_server: parts.ObjectStore,
) -> None:
    store = ObjectStore(config_of(own_server))
    store.ensure_buckets()
    store.put(IMAGES, "kept", noise(9 * MIB))
    upload = store.create_upload("k.zip")
    stream = store.stream(IMAGES, "kept", 1000)
    next(stream)
    own_server.kill()
    for call in (
        store.ready,
        lambda: store.get(IMAGES, "kept"),
        lambda: store.put(IMAGES, "kept", b"x"),
        lambda: store.put_stream(IMAGES, "kept", 1, iter([b"x"]), crc32(b"x")),
        lambda: store.read_range(IMAGES, "kept", 0, 1),
        lambda: store.stat(IMAGES, "kept"),
        lambda: list(store.list(IMAGES)),
        lambda: store.delete(IMAGES, "kept"),
        lambda: store.upload_part("k.zip", upload, 1, 1, b"x"),
        lambda: store.complete_upload("k.zip", upload, [(1, "0" * 32)]),
        lambda: store.abort_upload("k.zip", upload),
        lambda: list(store.list_uploads()),
        lambda: [b"".join(c) for c in store.read_many(IMAGES, [("kept", 1)])],
        lambda: list(stream),
    ):
        with pytest.raises(StorageUnavailable):
            call()
    link = store.sign_download("k.zip", "k.zip", timedelta(minutes=5))
    assert link.startswith(own_server.endpoint)
    own_server.start()
    # Connections of before the restart are known for dead.
    store.put(IMAGES, "after", b"fine")
    assert store.get(IMAGES, "kept") == noise(9 * MIB)
    if not isinstance(own_server, parts.Rclone):
        assert [u.upload_id for u in store.list_uploads("k.zip")] == [upload]
        store.upload_part("k.zip", upload, 1, 1, b"x")
    else:
        with pytest.raises(UploadNotFound):
            store.upload_part("k.zip", upload, 1, 1, b"x")
    store.close()


def test_a_store_that_dies_under_a_part_is_unavailable(own_server: parts.ObjectStore) -> None:
    store = ObjectStore(config_of(own_server))
    store.ensure_buckets()
    upload = store.create_upload("k.zip")

    def body() -> Iterator[bytes]:
        for i in range(16):
            if i == 4:
                own_server.kill()
            yield noise(MIB)

    with pytest.raises(StorageUnavailable):
        store.upload_part("k.zip", upload, 1, 16 * MIB, body(), 0)
    store.close()
