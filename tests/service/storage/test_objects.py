"""Whole objects and ranges of them: stored, read, listed, deleted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import sleep
from zlib import crc32

import pytest

from services.storage import ObjectNotFound, ObjectStore, StorageRefused
from tests import parts
from tests.service.storage.stores import EXPORTS, IMAGES, MIB, broken_body, noise

ODD_KEYS = (
    "a b",
    "a+b",
    "a%20b",
    "a?b&c=d",
    "a#b",
    "q\"'<>",
    "[~]*|^`",
    "back\\slash",
    "tab\tnewline\n",
    "ü/é/日本.jpg",
    "e\u0301",
)


@pytest.mark.parametrize("size", [0, 1, 300_000, 3 * MIB + 1])
def test_objects_come_back_as_they_were_put(store: ObjectStore, size: int) -> None:
    data = noise(size)
    before = datetime.now(UTC) - timedelta(seconds=5)
    assert store.put(IMAGES, "round/trip", data)
    assert store.get(IMAGES, "round/trip") == data
    assert b"".join(store.stream(IMAGES, "round/trip", 100_000)) == data
    info = store.stat(IMAGES, "round/trip")
    assert info is not None
    assert (info.key, info.size) == ("round/trip", size)
    assert before < info.modified_at < datetime.now(UTC) + timedelta(seconds=5)


def test_stream_gives_chunks_of_the_size_asked_for(store: ObjectStore) -> None:
    store.put(IMAGES, "chunks", noise(250_000))
    assert [len(c) for c in store.stream(IMAGES, "chunks", 100_000)] == [100_000, 100_000, 50_000]


def test_a_stream_left_early_harms_no_later_call(store: ObjectStore) -> None:
    store.put(IMAGES, "left", noise(2 * MIB))
    for _ in range(20):
        stream = store.stream(IMAGES, "left", 1000)
        assert len(next(stream)) == 1000
    assert store.get(IMAGES, "left") == noise(2 * MIB)
    assert b"".join(store.stream(IMAGES, "left")) == noise(2 * MIB)


def test_odd_keys(store: ObjectStore, server: parts.ObjectStore) -> None:
    # SeaweedFS makes slashes of them; no key of Cartouche has any.
    is_seaweedfs = isinstance(server, parts.SeaweedFS)
    keys = [key for key in ODD_KEYS if not (is_seaweedfs and "\\" in key)]
    for key in keys:
        name = f"odd/{key}"
        store.put(IMAGES, name, key.encode())
        assert store.get(IMAGES, name) == key.encode()
        assert b"".join(store.stream(IMAGES, name)) == key.encode()
        assert store.stat(IMAGES, name) is not None
    names = {f"odd/{key}" for key in keys}
    assert {info.key for info in store.list(IMAGES, "odd/")} == names
    items = [(name, 10) for name in sorted(names)]
    found = [b"".join(chunks).decode() for chunks in store.read_many(IMAGES, items)]
    assert found == [name.removeprefix("odd/") for name in sorted(names)]
    assert store.delete_prefix(IMAGES, "odd/") == len(keys)


@pytest.mark.parametrize("key", ["", "a/../b", "./a"])
def test_a_key_that_no_store_holds_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(StorageRefused):
        store.put(IMAGES, key, b"x")
    with pytest.raises(StorageRefused):
        store.get(IMAGES, key)


def test_what_is_absent(store: ObjectStore) -> None:
    assert store.stat(IMAGES, "absent") is None
    store.delete(IMAGES, "absent")
    assert list(store.list(IMAGES, "absent/")) == []
    assert store.delete_prefix(IMAGES, "absent/") == 0
    reads: tuple[Callable[[], object], ...] = (
        lambda: store.get(IMAGES, "absent"),
        lambda: next(store.stream(IMAGES, "absent")),
        lambda: store.read_range(IMAGES, "absent", 0, 1),
        lambda: next(next(store.read_many(IMAGES, [("absent", 1)]))),
    )
    for read in reads:
        with pytest.raises(ObjectNotFound, match="absent") as caught:
            read()
        assert caught.value.key == "absent"


def test_put_stream_of_small_chunks(store: ObjectStore) -> None:
    data = noise(1_000_003)
    chunks = (data[i : i + 777] for i in range(0, len(data), 777))
    store.put_stream(IMAGES, "streamed", len(data), chunks, crc32(data))
    assert store.get(IMAGES, "streamed") == data
    store.put_stream(IMAGES, "streamed", 0, iter(()), 0)
    assert store.get(IMAGES, "streamed") == b""


@pytest.mark.parametrize(("length", "chunks"), [(MIB, [noise(MIB), b"x"]), (MIB + 1, [noise(MIB)])])
def test_a_body_of_another_length_stores_nothing(
    store: ObjectStore, length: int, chunks: list[bytes]
) -> None:
    key = f"wrong-length/{length}"
    with pytest.raises(ValueError, match="bytes announced"):
        store.put_stream(IMAGES, key, length, iter(chunks), 0)
    sleep(0.2)
    assert store.stat(IMAGES, key) is None


def test_a_body_that_raises_stores_nothing_and_its_error_comes_out(store: ObjectStore) -> None:
    store.put(IMAGES, "broken", b"before")
    # An OSError, which must not be taken for one of the network.
    with pytest.raises(InterruptedError, match="the source broke"):
        store.put_stream(IMAGES, "broken", 2 * MIB, broken_body(), 0)
    sleep(0.2)
    assert store.get(IMAGES, "broken") == b"before"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 10), (5, 1), (1_000_000, 2_000_000), (3_000_000, 500_000), (9_999_999, 1)],
)
def test_ranges(store: ObjectStore, offset: int, length: int) -> None:
    data = noise(3 * MIB, 7)
    if store.stat(IMAGES, "ranges") is None:
        store.put(IMAGES, "ranges", data)
    assert store.read_range(IMAGES, "ranges", offset, length) == data[offset : offset + length]
    assert store.read_range(IMAGES, "ranges", offset, 0) == b""


def test_list_and_delete_by_prefix(store: ObjectStore) -> None:
    keys = [f"tree/{a}/{b}" for a in range(3) for b in range(4)]
    for key in [*keys, "tree2/other"]:
        store.put(EXPORTS, key, key.encode())
    assert [i.key for i in store.list(EXPORTS, "tree/")] == keys
    assert [(i.key, i.size) for i in store.list(EXPORTS, "tree/1/")] == [(k, 8) for k in keys[4:8]]
    assert store.delete_prefix(EXPORTS, "tree/1/") == 4
    assert [i.key for i in store.list(EXPORTS, "tree")] == [*keys[:4], *keys[8:], "tree2/other"]
    store.delete(EXPORTS, "tree2/other")
    assert store.stat(EXPORTS, "tree2/other") is None
    with pytest.raises(ValueError, match="whole bucket"):
        store.delete_prefix(EXPORTS, "")
