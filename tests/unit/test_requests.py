"""Requests before they are parsed: what takes more memory than it has bytes is found."""

import gc

import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from google.protobuf.message import Message

from services.errors import Invalid
from services.rpc.requests import MAX_SIZE, Unread, _is_flat, check_request

MANY = 200_000
CLASSES = [pb.DatasetClass()] * MANY


@pytest.mark.parametrize(
    ("message", "is_flat"),
    [
        (pb.PutImagesRequest(chunk=b"x" * 1_000), True),
        (pb.PutImagesRequest(image=pb.PutImage(path="a", annotations=b"[]" * 70_000)), True),
        (pb.PutImagesRequest(open=pb.PutImagesOpen(dataset_name="a")), False),
        (pb.CreateDatasetRequest(name="x" * 200), True),
        (pb.CreateDatasetRequest(name="x" * 200, classes=[pb.DatasetClass()]), False),
    ],
    ids=["chunk", "image", "open", "text", "text-and-list"],
)
def test_what_is_flat(message: Message, is_flat: bool) -> None:
    data = message.SerializeToString()
    parse = type(message).FromString
    assert _is_flat(data, parse) is is_flat
    # With anything behind it, or cut, it is not.
    assert not _is_flat(data + b"\x0a\0", parse)
    assert not _is_flat(data[:-1], parse)
    assert not _is_flat(data[:1], parse)


@pytest.mark.parametrize(
    "message",
    [
        pb.CreateDatasetRequest(classes=CLASSES),
        pb.PutImagesRequest(open=pb.PutImagesOpen(classes=CLASSES)),
    ],
    ids=["request", "of-a-stream"],
)
@pytest.mark.parametrize("most", [None, MAX_SIZE])
def test_a_large_request_of_many_items_is_refused_as_it_is_read(
    message: Message, most: int | None
) -> None:
    unread = Unread(message.SerializeToString(), type(message).FromString)
    with pytest.raises(Invalid, match=f"has {MANY} items; at most"):
        unread.read(most)


def test_a_large_image_is_read() -> None:
    message = pb.PutImagesRequest(image=pb.PutImage(annotations=b"x" * 2 * MAX_SIZE))
    unread = Unread(message.SerializeToString(), pb.PutImagesRequest.FromString)
    assert unread.read() == message
    with pytest.raises(Invalid, match="at most"):
        unread.read(MAX_SIZE)


def test_bytes_that_are_no_message_are_refused() -> None:
    for data in (b"\xff", b"\xff" * 200_000, b"\x12" + b"\x80" * 200_000):
        with pytest.raises(Invalid, match="no message of this method"):
            Unread(data, pb.PutImagesRequest.FromString).read()


@pytest.mark.parametrize("items", [11_000, 60_000])
def test_a_refused_request_leaves_no_garbage(items: int) -> None:
    """What waits for the next collection of all garbage would be megabytes each time."""
    data = pb.CreateDatasetRequest(classes=[pb.DatasetClass(name="c")] * items).SerializeToString()
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(Invalid):
            check_request(Unread(data, pb.CreateDatasetRequest.FromString).read(MAX_SIZE))
        assert not [thing for thing in gc.get_objects() if isinstance(thing, Invalid)]
        assert gc.collect() == 0
    finally:
        gc.enable()
