"""A bit that flips between the adapter and the store."""

from collections.abc import Iterator
from dataclasses import replace
from zlib import crc32

import pytest

from services.storage import ObjectStore, StorageUnavailable, UploadNotFound
from tests import parts
from tests.network import Network
from tests.service.storage.stores import EXPORTS, IMAGES, MIB, PART, config_of, noise


@pytest.fixture
def is_minio(server: parts.ObjectStore) -> bool:
    """Whether the server knows the header."""
    return isinstance(server, parts.MinIO)


#: Where the bit flips: in the first bytes, somewhere, in the last.
PLACES = {"start": slice(0, 20), "middle": slice(3_000_000, 3_000_020), "end": slice(-20, None)}


@pytest.fixture(scope="module")
def network(server: parts.ObjectStore) -> Iterator[Network]:
    with Network(server.port) as between:
        yield between


@pytest.fixture(scope="module")
def far(server: parts.ObjectStore, store: ObjectStore, network: Network) -> Iterator[ObjectStore]:
    """The adapter to the server, on the other side of the network."""
    config = config_of(server)
    opened = ObjectStore(replace(config, endpoint=network.through(config.endpoint)))
    # From then on it knows what the server's ETags are.
    opened.put(EXPORTS, "first", b"first")
    yield opened
    opened.close()


@pytest.mark.parametrize("place", PLACES)
def test_a_part_is_refused_and_sent_again(
    far: ObjectStore, network: Network, is_minio: bool, place: str
) -> None:
    key, data, more = f"{place}.zip", noise(PART, 1), noise(100, 2)
    pieces = [data[start : start + 100_000] for start in range(0, PART, 100_000)]
    upload = far.create_upload(key)
    with (
        network.flipping(data[PLACES[place]]),
        pytest.raises((StorageUnavailable, UploadNotFound)) as caught,
    ):
        far.upload_part(key, upload, 1, PART, iter(pieces), crc32(data))
    if is_minio:
        # It refused it.
        assert caught.type is StorageUnavailable
    if caught.type is UploadNotFound:
        upload = far.create_upload(key)
    stored = [
        (1, far.upload_part(key, upload, 1, PART, iter(pieces), crc32(data))),
        (2, far.upload_part(key, upload, 2, len(more), more)),
    ]
    far.complete_upload(key, upload, stored)
    assert far.get(EXPORTS, key) == data + more


@pytest.mark.parametrize("place", PLACES)
def test_an_object_is_sent_again(far: ObjectStore, network: Network, place: str) -> None:
    data = noise(4 * MIB, 3)
    with network.flipping(data[PLACES[place]]):
        far.put(IMAGES, "whole", data)
    assert far.get(IMAGES, "whole") == data
    with network.flipping(data[PLACES[place]]), pytest.raises(StorageUnavailable):
        far.put_stream(IMAGES, "streamed", len(data), iter([data]), crc32(data))


def test_a_sum_comes_before_the_pieces(far: ObjectStore, is_minio: bool) -> None:
    upload = far.create_upload("said.zip")
    if is_minio:
        with pytest.raises(StorageUnavailable):
            far.upload_part("said.zip", upload, 1, 3, iter([b"abc"]), crc32(b"abd"))
    # One whose sum is not known before is held against its ETag.
    far.upload_part("said.zip", upload, 1, 3, iter([b"abc"]))
    far.abort_upload("said.zip", upload)


@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_answer_is_noticed(far: ObjectStore, network: Network, place: str) -> None:
    data = noise(4 * MIB, 4)
    far.put(EXPORTS, "staged", data)
    assert b"".join(far.stream(EXPORTS, "staged", is_checked=True)) == data
    with (
        network.flipping(data[PLACES[place]], in_answer=True),
        pytest.raises(StorageUnavailable, match="damaged"),
    ):
        list(far.stream(EXPORTS, "staged", is_checked=True))


def test_an_object_of_parts_has_no_sum_of_its_own(store: ObjectStore) -> None:
    upload = store.create_upload("of-parts.zip")
    store.complete_upload(
        "of-parts.zip", upload, [(1, store.upload_part("of-parts.zip", upload, 1, 3, b"abc"))]
    )
    assert b"".join(store.stream(EXPORTS, "of-parts.zip", is_checked=True)) == b"abc"
