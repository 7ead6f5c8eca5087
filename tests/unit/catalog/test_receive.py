"""The bytes of one image, as they come in over a stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing

import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.content import Spool, Unkept
from services.catalog.put_stream import receive
from services.errors import Invalid, Unavailable

IMAGE = pb.PutImage(path="a.jpg", size=6)


async def sent(*chunks: bytes, late: float = 0.0) -> AsyncGenerator[pb.PutImagesRequest, None]:
    """Chunks, of which each but the first is so many seconds late."""
    for number, chunk in enumerate(chunks):
        await asyncio.sleep(late if number else 0)
        yield pb.PutImagesRequest(chunk=chunk)


def received(
    spool: Spool, requests: AsyncGenerator[pb.PutImagesRequest, None], silence: float
) -> tuple[int, bytes]:
    """How many bytes came, and which were kept."""

    async def receiving() -> None:
        async with aclosing(requests):
            await receive(spool, IMAGE, requests, silence)

    with closing(spool):
        asyncio.run(receiving())
        return spool.size, b"".join(spool.pieces())


def test_an_image_comes_in_chunks() -> None:
    assert received(Spool(), sent(b"abc", b"def", late=0.01), 5.0) == (6, b"abcdef")


def test_what_is_not_kept_is_counted() -> None:
    assert received(Unkept(), sent(b"abc", b"def"), 5.0) == (6, b"")


def test_an_image_that_breaks_off_is_refused() -> None:
    with pytest.raises(Invalid, match="only 3 of 6 bytes came"):
        received(Spool(), sent(b"abc"), 5.0)


def test_who_falls_silent_is_hung_up_on() -> None:
    with pytest.raises(Unavailable, match="connect again"):
        received(Spool(), sent(b"abc", b"def", late=30), 0.05)
