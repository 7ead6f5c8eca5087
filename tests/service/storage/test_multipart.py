"""Multipart uploads, whole and broken."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import sleep
from zlib import crc32

import pytest

from services.storage import (
    CopyRefused,
    Extract,
    ObjectStore,
    StorageRefused,
    UploadNotFound,
)
from tests import parts
from tests.service.storage.stores import EXPORTS, IMAGES, MIB, PART, broken_body, noise


def test_an_interrupt_stores_nothing_and_leaves_the_store_usable(store: ObjectStore) -> None:
    class TimeLimit(BaseException):
        """As Dramatiq interrupts a thread."""

    def body() -> Iterator[bytes]:
        yield noise(MIB)
        raise TimeLimit

    upload = store.create_upload("interrupted")
    with pytest.raises(TimeLimit):
        store.upload_part("interrupted", upload, 1, 2 * MIB, body(), 0)
    store.abort_upload("interrupted", upload)
    store.put(IMAGES, "after", b"fine")
    assert store.get(IMAGES, "after") == b"fine"


def test_parts_in_order_make_the_archive(store: ObjectStore, server: parts.ObjectStore) -> None:
    data = noise(2 * PART + 123)
    upload = store.create_upload("archive.zip")
    pieces = [data[i : i + PART] for i in range(0, len(data), PART)]
    etags = [
        (n, store.upload_part("archive.zip", upload, n, len(p), iter([p[:9], p[9:]]), crc32(p)))
        for n, p in enumerate(pieces, 1)
    ]
    store.complete_upload("archive.zip", upload, etags)
    assert store.get(EXPORTS, "archive.zip") == data
    assert list(store.list_uploads("archive.zip")) == []
    if isinstance(server, parts.SeaweedFS):
        # It remembers, and says again that it is done.
        store.complete_upload("archive.zip", upload, etags)
        assert store.get(EXPORTS, "archive.zip") == data
    else:
        with pytest.raises(UploadNotFound):
            store.complete_upload("archive.zip", upload, etags)


def test_parts_out_of_order_and_again(store: ObjectStore, is_rclone: bool) -> None:
    data = noise(2 * PART + 123)
    upload = store.create_upload("shuffled.zip")
    pieces = {1: data[:PART], 2: data[PART : 2 * PART], 3: data[2 * PART :]}
    if not is_rclone:
        store.upload_part("shuffled.zip", upload, 2, PART, noise(PART, 99))
    etags = [
        (n, store.upload_part("shuffled.zip", upload, n, len(pieces[n]), pieces[n]))
        for n in (3, 1, 2)
    ]
    store.complete_upload("shuffled.zip", upload, etags)
    assert store.get(EXPORTS, "shuffled.zip") == data


def test_a_part_whose_body_raises_is_not_stored(store: ObjectStore) -> None:
    data = noise(PART + 10)
    upload = store.create_upload("part-error.zip")
    with pytest.raises(InterruptedError, match="the source broke"):
        store.upload_part("part-error.zip", upload, 1, PART, broken_body(), 0)
    etags = [
        (1, store.upload_part("part-error.zip", upload, 1, PART, data[:PART])),
        (2, store.upload_part("part-error.zip", upload, 2, 10, data[PART:])),
    ]
    store.complete_upload("part-error.zip", upload, etags)
    assert store.get(EXPORTS, "part-error.zip") == data


def test_only_a_broken_part_cannot_be_completed(store: ObjectStore) -> None:
    upload = store.create_upload("never.zip")
    with pytest.raises(InterruptedError):
        store.upload_part("never.zip", upload, 1, PART, broken_body(), 0)
    sleep(0.2)
    with pytest.raises(StorageRefused):
        store.complete_upload("never.zip", upload, [(1, hashlib.md5(noise(MIB)).hexdigest())])
    store.abort_upload("never.zip", upload)
    assert store.stat(EXPORTS, "never.zip") is None


def test_small_parts_are_refused(store: ObjectStore, is_rclone: bool) -> None:
    upload = store.create_upload("small.zip")
    etags = [(n, store.upload_part("small.zip", upload, n, 1000, noise(1000))) for n in (1, 2)]
    if is_rclone:
        store.complete_upload("small.zip", upload, etags)
        assert store.get(EXPORTS, "small.zip") == noise(1000) * 2
    else:
        with pytest.raises(StorageRefused, match="5 MiB") as caught:
            store.complete_upload("small.zip", upload, etags)
        assert caught.value.code == "EntityTooSmall"
    store.abort_upload("small.zip", upload)


def test_an_aborted_upload_is_not_found(store: ObjectStore) -> None:
    upload = store.create_upload("aborted.zip")
    store.upload_part("aborted.zip", upload, 1, 10, b"0123456789")
    store.abort_upload("aborted.zip", upload)
    store.abort_upload("aborted.zip", upload)
    # The whole body is on its way when the server refuses it.
    for body in (b"x", noise(16 * MIB)):
        with pytest.raises(UploadNotFound) as caught:
            store.upload_part("aborted.zip", upload, 1, len(body), body)
        assert caught.value.upload_id == upload
    with pytest.raises(UploadNotFound):
        store.complete_upload("aborted.zip", upload, [(1, "0" * 32)])
    assert store.stat(EXPORTS, "aborted.zip") is None


def test_unfinished_uploads_are_listed(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    ids = {key: store.create_upload(key) for key in ("list/ü 1.zip", "list/2.zip", "list2/3.zip")}
    found = {u.key: u for u in store.list_uploads("list/")}
    assert {key: u.upload_id for key, u in found.items()} == {
        key: ids[key] for key in ("list/ü 1.zip", "list/2.zip")
    }
    assert before < found["list/2.zip"].started_at < datetime.now(UTC) + timedelta(seconds=5)
    assert {u.upload_id for u in store.list_uploads()} >= set(ids.values())
    assert [u.upload_id for u in store.list_uploads("list2/3.zip")] == [ids["list2/3.zip"]]
    for key, upload in ids.items():
        store.abort_upload(key, upload)
    assert list(store.list_uploads("list")) == []


def test_parts_are_copied_where_the_store_can(store: ObjectStore, is_rclone: bool) -> None:
    assert store.copies_parts() is not is_rclone
    if is_rclone:
        return
    content = bytes(range(256)) * 4096 * 8
    key = "copied from/a+b.zip"
    store.put(EXPORTS, key, content)
    stat = store.stat(EXPORTS, key)
    assert stat is not None
    upload_id = store.create_upload("copy.zip")
    source = Extract(key, stat.etag, 1000, 5 * MIB)
    parts = [(1, store.copy_part("copy.zip", upload_id, 1, source))]
    parts.append((2, store.upload_part("copy.zip", upload_id, 2, 3, b"end")))
    for wrong in (
        replace(source, etag="0" * 32),
        replace(source, key="absent.zip"),
        replace(source, offset=len(content)),
    ):
        with pytest.raises(CopyRefused):
            store.copy_part("copy.zip", upload_id, 1, wrong)
    store.complete_upload("copy.zip", upload_id, parts)
    assert store.get(EXPORTS, "copy.zip") == content[1000 : 1000 + 5 * MIB] + b"end"
    with pytest.raises(UploadNotFound):
        store.copy_part("copy.zip", upload_id, 1, source)
