"""Whole archives: the same bytes however they are cut, and every unzipper opens them."""

import io
import os
import subprocess
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.needs import need_tool
from workers.archive.deflate import DEFLATE_END, Fragment, crc32, deflate, deflated_file, join
from workers.archive.directory import DirectoryWriter
from workers.archive.entries import Entry, Method, local_header, pack_record

MIB = 2**20
GIB = 2**30

#: Name, content, and how it is coded.
File = tuple[str, bytes, Method]

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
FILES = st.lists(
    st.tuples(NAMES, st.binary(max_size=400), st.sampled_from(Method)),
    max_size=12,
    unique_by=lambda file: file[0],
)

PHOTO = bytes(range(256)) * 40
MIXED: list[File] = [
    ("images/straße/日本語/🐈.jpg", PHOTO, Method.STORED),
    ("images/a b/çà-و.jpg", PHOTO[::-1], Method.STORED),
    ("images/empty.jpg", b"", Method.STORED),
    ("annotations/straße.json", b'{"name": "car"}\n' * 99, Method.DEFLATED),
    ("annotations/empty.txt", b"", Method.DEFLATED),
]

#: How each tool is asked whether the archive, whose path follows, is sound.
CHECKS = {
    "unzip": ("unzip", "-tqq"),
    "7z": ("7z", "t"),
    "bsdtar": ("bsdtar", "-tf"),
}


def segment(files: Iterable[File]) -> tuple[bytes, bytes]:
    """A run of local entries, and its records."""
    body, records = bytearray(), bytearray()
    for name, data, method in files:
        coded = data if method is Method.STORED else deflated_file(data)[0]
        entry = Entry(name, crc32(data), len(data), len(coded), method)
        records += pack_record(entry, len(body))
        body += local_header(entry) + coded
    return bytes(body), bytes(records)


def archive(segments: Iterable[Sequence[File]]) -> bytes:
    """The archive of segments that were built apart."""
    built = [segment(files) for files in segments]
    directory, written, base = DirectoryWriter(), b"", 0
    for body, records in built:
        written += directory.records(records, base)
        base += len(body)
    return b"".join(body for body, _ in built) + written + directory.end(base)


def run(tool: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """What a tool prints; a failure shows all that it said."""
    done = subprocess.run(
        (need_tool(tool), *arguments),
        input=stdin,
        capture_output=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")
    return done.stdout


def names_by(tool: str, *arguments: str) -> list[str]:
    """The names that a tool lists."""
    return run(tool, *arguments).decode().splitlines()


@given(FILES, st.data())
def test_any_split_gives_the_same_bytes(files: list[File], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(files)))))
    bounds = [0, *cuts, len(files)]
    split = [files[a:b] for a, b in pairwise(bounds)]
    whole = archive([files])
    assert archive(split) == whole
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [name for name, _, _ in files]
        assert [opened.read(name) for name, _, _ in files] == [data for _, data, _ in files]


def test_what_the_directory_says() -> None:
    with zipfile.ZipFile(io.BytesIO(archive([MIXED]))) as opened:
        for info, (name, data, method) in zip(opened.infolist(), MIXED, strict=True):
            assert (info.filename, info.file_size, info.CRC) == (name, len(data), zlib.crc32(data))
            assert info.compress_type == method
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.flag_bits == 1 << 11
            assert info.create_system == 3
            assert info.external_attr >> 16 == 0o100644
            assert info.extract_version == 20
            assert info.extra == b""


def test_document_of_fragments() -> None:
    """A document that comes in fragments is an entry like any other."""
    blocks = [b"[\n", b'{"id": 1}', b",\n", b'{"id": 2}' * 9999, b"\n]"]
    deflated = [deflate(block) for block in blocks]
    total = join(fragment for _, fragment in deflated)
    body = b"".join(part for part, _ in deflated) + DEFLATE_END
    entry = Entry("instances.json", total.crc32, total.size, len(body), Method.DEFLATED)
    local = local_header(entry) + body
    directory = DirectoryWriter()
    written = directory.records(pack_record(entry, 0), 0) + directory.end(len(local))
    with zipfile.ZipFile(io.BytesIO(local + written)) as opened:
        assert opened.read("instances.json") == b"".join(blocks)


@pytest.mark.parametrize("tool", CHECKS)
def test_tools_find_it_sound(tool: str, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(archive([MIXED[:2], MIXED[2:]]))
    run(*CHECKS[tool], str(path))


@pytest.mark.parametrize("tool", ["7z", "bsdtar"])
def test_tools_open_an_archive_of_nothing(tool: str, tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(archive([]))
    run(*CHECKS[tool], str(path))


@pytest.mark.parametrize("listing", [("unzip", "-Z1"), ("bsdtar", "-tf")], ids=lambda it: it[0])
def test_tools_read_the_names(listing: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "archive.zip"
    path.write_bytes(archive([MIXED]))
    assert names_by(*listing, str(path)) == [name for name, _, _ in MIXED]


def test_a_stream_is_read_from_the_front() -> None:
    """Sizes stand in the local headers, so a reader that cannot seek gets everything."""
    content = b"".join(data for _, data, _ in MIXED)
    assert run("bsdtar", "-xOf", "-", stdin=archive([MIXED])) == content


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70,000 entries, in segments of 9,999."""
    files: list[File] = [(f"images/{n:05}.jpg", b"%d" % n, Method.STORED) for n in range(70_000)]
    path = tmp_path_factory.mktemp("many") / "archive.zip"
    path.write_bytes(archive(files[n : n + 9_999] for n in range(0, len(files), 9_999)))
    return path


def test_zipfile_opens_70000_entries(many: Path) -> None:
    with zipfile.ZipFile(many) as opened:
        assert len(opened.infolist()) == 70_000
        assert opened.testzip() is None


@pytest.mark.parametrize("tool", CHECKS)
def test_tools_find_70000_entries_sound(many: Path, tool: str) -> None:
    run(*CHECKS[tool], str(many))


@pytest.mark.parametrize("listing", [("unzip", "-Z1"), ("bsdtar", "-tf")], ids=lambda it: it[0])
def test_tools_list_70000_entries(many: Path, listing: tuple[str, str]) -> None:
    assert names_by(*listing, str(many)) == [f"images/{n:05}.jpg" for n in range(70_000)]


@pytest.mark.parametrize(("count", "zip64"), [(65_534, False), (65_535, True), (65_536, True)])
def test_zip64_where_the_count_needs_it(count: int, zip64: bool) -> None:
    """65,535 in the plain field is the sign to look for the ZIP64 one."""
    directory = DirectoryWriter()
    written = directory.records(pack_record(Entry("a", 0, 0, 0, Method.STORED), 0) * count, 0)
    end = directory.end(0)
    assert (directory.entry_count, directory.size) == (count, len(written))
    assert (b"PK\x06\x06" in end) is zip64
    with zipfile.ZipFile(io.BytesIO(written + end)) as opened:
        assert len(opened.infolist()) == count


class SparseFile(io.RawIOBase):
    """A readable file of any length that holds a few pieces and zeros between them."""

    def __init__(self, pieces: dict[int, bytes]) -> None:
        self._pieces = pieces
        self._length = max(at + len(piece) for at, piece in pieces.items())
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise OSError("seek before the start")
        self._position = start + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        rest = max(self._length - self._position, 0)
        size = rest if size < 0 else min(size, rest)
        data = bytearray(size)
        for at, piece in self._pieces.items():
            start = max(at, self._position)
            end = min(at + len(piece), self._position + size)
            if start < end:
                data[start - self._position : end - self._position] = piece[start - at : end - at]
        self._position += size
        return bytes(data)


VALUES = st.one_of(st.integers(0, 2**45), st.integers(2**32 - 3, 2**32 + 3))


@given(VALUES, VALUES, VALUES)
@example(0, 0, 2**32 - 1)
@example(2**32 - 1, 0, 0)
@example(2**32 - 2, 2**32 - 1, 2**32 - 2)
def test_zip64_where_a_value_needs_it(size: int, compressed_size: int, base: int) -> None:
    entry = Entry("document.json", 1, size, compressed_size, Method.DEFLATED)
    local = local_header(entry)
    directory = DirectoryWriter()
    start = base + len(local) + compressed_size
    records = directory.records(pack_record(entry, 0), base)
    end = directory.end(start)
    with zipfile.ZipFile(SparseFile({base: local, start: records + end})) as opened:
        (info,) = opened.infolist()
        # Compares the names in the directory and in the local header.
        opened.open(info).close()
    values = (size, compressed_size, base)
    assert (info.file_size, info.compress_size, info.header_offset) == values
    large = sum(value >= 2**32 - 1 for value in values)
    assert len(info.extra) == (4 + 8 * large if large else 0)
    assert info.extract_version == (45 if large else 20)
    assert (b"PK\x06\x06" in end) is (start >= 2**32 - 1)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An entry of more than 4 GiB of zeros, and one that lies behind it. The zeros are a
    hole in the file, and their CRC-32 is combined from that of 1 MiB."""
    zeros = join([Fragment(zlib.crc32(bytes(MIB)), MIB, MIB)] * 4097)
    first = Entry("images/zeros.tif", zeros.crc32, zeros.size, zeros.size, Method.STORED)
    second, records = segment([("annotations/zeros.json", b'{"name": "car"}', Method.DEFLATED)])
    directory = DirectoryWriter()
    path = tmp_path_factory.mktemp("huge") / "archive.zip"
    with path.open("wb") as file:
        file.write(local_header(first))
        file.seek(first.size, os.SEEK_CUR)
        base = file.tell()
        file.write(second)
        start = file.tell()
        file.write(directory.records(pack_record(first, 0), 0))
        file.write(directory.records(records, base))
        file.write(directory.end(start))
    return path


def test_zipfile_opens_4_gib(huge: Path) -> None:
    with zipfile.ZipFile(huge) as opened:
        first, second = opened.infolist()
        assert first.file_size == 4097 * MIB
        assert second.header_offset > 4 * GIB
        assert opened.read(second) == b'{"name": "car"}'
        with opened.open(first) as zeros:
            assert zeros.read(MIB) == bytes(MIB)


def test_unzip_finds_4_gib_sound(huge: Path) -> None:
    run("unzip", "-tqq", str(huge))


def test_7z_opens_4_gib(huge: Path) -> None:
    assert b"Everything is Ok" in run("7z", "t", str(huge), "annotations/zeros.json")


def test_bsdtar_opens_4_gib(huge: Path) -> None:
    names = ["images/zeros.tif", "annotations/zeros.json"]
    assert names_by("bsdtar", "-tf", str(huge)) == names
    assert run("bsdtar", "-xOf", str(huge), names[1]) == b'{"name": "car"}'
