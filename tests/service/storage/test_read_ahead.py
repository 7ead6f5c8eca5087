"""Reading many objects ahead of their turn."""

import threading
import tracemalloc
from dataclasses import replace

import pytest

from services.storage import ObjectNotFound, ObjectStore
from services.storage.clients import READ_THREADS
from tests import parts
from tests.needs import started
from tests.service.storage.stores import IMAGES, MIB, config_of, noise
from tests.toxiproxy import Toxiproxy


def test_many_objects_come_in_order(store: ObjectStore) -> None:
    contents = {f"many/{i:03}": noise(1000 + 700 * (i % 5), i) for i in range(60)}
    contents["many/030"] = noise(9 * MIB, 30)
    for key, data in contents.items():
        store.put(IMAGES, key, data)
    order = [*sorted(contents), "many/030", "many/000"]
    items = ((key, len(contents[key])) for key in order)
    found = []
    for chunks in store.read_many(IMAGES, items, window_bytes=100_000):
        found.append(b"".join(chunks))
    assert found == [contents[key] for key in order]


def test_many_objects_stay_within_the_window(store: ObjectStore) -> None:
    data = noise(MIB)
    for i in range(8):
        store.put(IMAGES, f"window/{i}", data)
    store.put(IMAGES, "window/large", noise(24 * MIB))
    small = [(f"window/{i % 8}", MIB) for i in range(64)]
    items = [*small, ("window/large", 24 * MIB), *small]
    tracemalloc.start()
    try:
        total = 0
        for chunks in store.read_many(IMAGES, items, window_bytes=8 * MIB):
            total += sum(len(chunk) for chunk in chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 152 * MIB
    assert peak < 12 * MIB


def test_many_objects_left_early_end_their_reads(store: ObjectStore) -> None:
    store.put(IMAGES, "early", b"x")
    reader = store.read_many(IMAGES, [("early", 1)] * 1000)
    assert next(next(reader)) == b"x"
    reader.close()  # type: ignore[attr-defined]
    assert [next(c) for c in store.read_many(IMAGES, [("early", 1)] * 3)] == [b"x"] * 3


def test_a_missing_object_is_raised_at_its_place(store: ObjectStore) -> None:
    store.put(IMAGES, "there", b"x")
    reader = store.read_many(IMAGES, [("there", 1), ("gone", 1), ("there", 1)])
    assert next(next(reader)) == b"x"
    with pytest.raises(ObjectNotFound, match="gone"):
        next(reader)


def test_a_store_far_away_is_asked_for_more_at_once(
    store: ObjectStore, server: parts.ObjectStore
) -> None:
    store.put(IMAGES, "distant", b"x")
    with started(Toxiproxy) as toxiproxy:
        proxy = toxiproxy.proxy("far", server.port)
        proxy.add("latency", latency=20)
        endpoint = f"http://127.0.0.1:{proxy.port}"
        far = ObjectStore(replace(config_of(server), endpoint=endpoint, public_endpoint=endpoint))
        asking, total = 0, 0
        for chunks in far.read_many(IMAGES, [("distant", 1)] * 1_600):
            total += sum(map(len, chunks))
            asking = max(asking, sum("storage-far" in t.name for t in threading.enumerate()))
        far.close()
    assert total == 1_600
    assert asking > READ_THREADS
