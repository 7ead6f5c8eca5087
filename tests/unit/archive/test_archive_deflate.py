"""Fragments of deflated text, joined in any way, are the text."""

import random
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.archive.deflate import (
    DEFLATE_END,
    Fragment,
    crc32,
    crc32_combine,
    deflate,
    deflated_file,
    join,
)

BLOCKS = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda row, times: row * times, st.binary(max_size=60), st.integers(0, 3000)),
)


def inflate(stream: bytes) -> bytes:
    """The content of one complete raw stream, by zlib, which is not what wrote it."""
    decoder = zlib.decompressobj(-15)
    data = decoder.decompress(stream)
    assert decoder.eof
    assert decoder.unused_data == b""
    return data


@given(st.lists(BLOCKS, max_size=8))
def test_fragments_are_one_stream(blocks: list[bytes]) -> None:
    deflated = [deflate(block) for block in blocks]
    body = b"".join(part for part, _ in deflated)
    whole = b"".join(blocks)
    assert inflate(body + DEFLATE_END) == whole
    assert join(fragment for _, fragment in deflated) == Fragment(
        zlib.crc32(whole), len(whole), len(body)
    )


@given(st.binary(max_size=5000), st.data())
def test_any_cut_of_a_text(text: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    bounds = [0, *cuts, len(text)]
    deflated = [deflate(text[a:b]) for a, b in pairwise(bounds)]
    assert inflate(b"".join(part for part, _ in deflated) + DEFLATE_END) == text
    assert join(fragment for _, fragment in deflated).crc32 == zlib.crc32(text)


@given(st.lists(BLOCKS, min_size=1, max_size=6), st.data())
def test_joining_in_groups_changes_nothing(blocks: list[bytes], data: st.DataObject) -> None:
    fragments = [deflate(block)[1] for block in blocks]
    at = data.draw(st.integers(0, len(fragments)))
    assert join([join(fragments[:at]), join(fragments[at:])]) == join(fragments)


def test_blocks_beyond_the_window() -> None:
    noise = random.Random(7)
    blocks = [noise.randbytes(100_000), b"row,\n" * 60_000, noise.randbytes(40_000) * 3]
    body = b"".join(deflate(block)[0] for block in blocks)
    assert inflate(body + DEFLATE_END) == b"".join(blocks)


@pytest.mark.parametrize("data", [b",\n", b"]", b"x" * 64, b"x" * 65])
def test_separators(data: bytes) -> None:
    """Short data is remembered: the second time gives what the first gave."""
    body, fragment = deflate(data)
    assert inflate(body + DEFLATE_END) == data
    assert deflate(data) == (body, fragment)


def test_nothing() -> None:
    assert deflate(b"") == (b"", Fragment(0, 0, 0))
    assert join([]) == Fragment(0, 0, 0)
    assert inflate(DEFLATE_END) == b""


@given(BLOCKS)
def test_a_file_in_one_shot(data: bytes) -> None:
    body, fragment = deflated_file(data)
    assert inflate(body) == data
    assert fragment == Fragment(zlib.crc32(data), len(data), len(body))


@given(st.binary(), st.binary())
def test_sums(first: bytes, second: bytes) -> None:
    whole = zlib.crc32(first + second)
    assert crc32(second, crc32(first)) == whole
    assert crc32_combine(crc32(first), crc32(second), len(second)) == whole
