"""Local headers, their sizes, and the records that stand for them."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.archive.entries import (
    Entry,
    Method,
    local_entry_size,
    local_header,
    local_header_size,
    pack_record,
    unpack_records,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
CRCS = st.integers(0, 2**32 - 1)
SIZES = st.one_of(st.integers(0, 2**45), st.integers(2**32 - 3, 2**32 + 3))
STORED = st.builds(
    lambda name, crc, size: Entry(name, crc, size, size, Method.STORED), NAMES, CRCS, SIZES
)
DEFLATED = st.builds(Entry, NAMES, CRCS, SIZES, SIZES, st.just(Method.DEFLATED))
ENTRIES = STORED | DEFLATED


def test_header_byte_by_byte() -> None:
    header = local_header(Entry("é.txt", 0x01020304, 10, 7, Method.DEFLATED))
    assert header == (
        b"PK\x03\x04"
        b"\x14\x00"  # 2.0 needed
        b"\x00\x08"  # UTF-8; no data descriptor
        b"\x08\x00"  # deflated
        b"\x00\x00\x21\x00"  # 1980-01-01 00:00
        b"\x04\x03\x02\x01"
        b"\x07\x00\x00\x00\x0a\x00\x00\x00"
        b"\x06\x00\x00\x00"
        b"\xc3\xa9.txt"
    )


@given(ENTRIES)
@example(Entry("a", 0, 2**32 - 2, 2**32 - 2, Method.STORED))
@example(Entry("a", 0, 2**32 - 1, 2**32 - 1, Method.STORED))
@example(Entry("a", 0, 0, 2**32 - 1, Method.DEFLATED))
def test_header_is_as_long_as_was_said(entry: Entry) -> None:
    larger = max(entry.size, entry.compressed_size)
    assert len(local_header(entry)) == local_header_size(entry.name, larger)


@given(STORED)
def test_stored_entry_is_as_long_as_was_said(entry: Entry) -> None:
    whole = len(local_header(entry)) + entry.compressed_size
    assert local_entry_size(entry.name, entry.size) == whole


@given(ENTRIES)
def test_zip64_only_where_a_size_needs_it(entry: Entry) -> None:
    header = local_header(entry)
    version, flags, compressed_size, size, name_length, extra_length = struct.unpack(
        "<4x2H10x2I2H", header[:30]
    )
    extra = header[30 + name_length :]
    assert flags == 1 << 11
    assert len(extra) == extra_length
    if max(entry.size, entry.compressed_size) < 2**32 - 1:
        assert (version, size, compressed_size) == (20, entry.size, entry.compressed_size)
        assert extra == b""
    else:
        assert (version, size, compressed_size) == (45, 2**32 - 1, 2**32 - 1)
        assert extra == struct.pack("<2H2Q", 1, 16, entry.size, entry.compressed_size)


@given(st.lists(st.tuples(ENTRIES, st.integers(0, 2**50)), max_size=8))
def test_records_come_back(entries: list[tuple[Entry, int]]) -> None:
    packed = b"".join(pack_record(entry, offset) for entry, offset in entries)
    assert list(unpack_records(packed)) == entries


@given(ENTRIES, ENTRIES, st.data())
def test_records_cut_short_are_refused(first: Entry, second: Entry, data: st.DataObject) -> None:
    packed = pack_record(first, 0) + pack_record(second, 1)
    boundary = len(pack_record(first, 0))
    cut = data.draw(st.integers(1, len(packed) - 1).filter(lambda at: at != boundary))
    with pytest.raises(ValueError, match="cut short"):
        list(unpack_records(packed[:cut]))


def test_longest_name() -> None:
    name = "é" * 32767 + "x"
    assert local_header_size(name) == 30 + 65535
    with pytest.raises(ValueError, match="1 to 65535 bytes, this one 65536"):
        local_header_size(name + "x")


def test_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 65535 bytes"):
        pack_record(Entry("", 0, 0, 0, Method.STORED), 0)


def test_stored_entry_has_one_size() -> None:
    with pytest.raises(ValueError, match="STORED"):
        local_header(Entry("a.jpg", 0, 10, 9, Method.STORED))
