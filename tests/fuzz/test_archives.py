"""What changed archives have taught, kept as cases."""

import tracemalloc
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.fuzz.archives import (
    File,
    archives,
    bomb,
    checked,
    files_of,
    put_together,
    read_by_another,
)
from workers.check import Expected
from workers.proofreading import ArchiveDamaged


def archive(format: str) -> tuple[bytes, Expected]:
    """A sound one."""
    return next((data, built) for data, built in archives() if built.info.format == format)


def with_content(format: str, name: str, content: bytes) -> tuple[bytes, Expected]:
    """One in which a file says something else, put together around it."""
    data, expected = archive(format)
    files = [replace(f, content=content) if f.name == name else f for f in files_of(data)]
    assert content in [file.content for file in files]
    return put_together(files, expected)


def test_what_is_put_together_again_is_sound() -> None:
    for data, expected in archives():
        again, described = put_together(files_of(data), expected)
        for depth in ("sample", "full"):
            assert (checked(again, described, depth) is not None) == (depth == "full")


def test_no_flipped_bit_makes_what_other_programs_cannot_read() -> None:
    """Those that they mind lie in fields that few look at: flags, versions, lengths."""
    data, expected = archive("coco")
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            with suppress(ArchiveDamaged):
                checked(bytes(flipped), expected, "full")
                read_by_another(bytes(flipped))


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (b"PK\5\6" + bytes(18), "does not point to its directory"),
        (bytes(22), "no end record"),
        (b"PK\6\6" + bytes(16) + b"PK\6\7" + bytes(16) + b"PK\5\6" + b"\xff" * 18, "no ZIP64"),
        (b"PK\5\6" + bytes(4) + b"\xff" * 4 + bytes(10), "no ZIP64"),
    ],
)
def test_an_end_that_is_none_is_damage(end: bytes, said: str) -> None:
    """And no error of ours, after which the same archive would be read again."""
    data, expected = archive("csv")
    with pytest.raises(ArchiveDamaged, match=said):
        checked(data[: -len(end)] + end, expected, "sample")
    with pytest.raises(ArchiveDamaged, match=r"no end record|no ZIP64|does not point"):
        checked(end, replace(expected, size=len(end)), "sample")


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        ("yolo", "data.yaml", b"names: \xff"),
        ("yolo", "data.yaml", b"names: [" * 5_000),
        ("yolo", "data.yaml", b"- 1"),
        ("pascal_voc", "manifest.json", b"[" * 100_000),
        ("cvat", "annotations.xml", b"<annotations>" * 20_000),
        ("coco", "manifest.json", b"1"),
    ],
)
def test_text_that_nobody_wrote_is_damage(format: str, name: str, content: bytes) -> None:
    data, expected = with_content(format, name, content)
    with pytest.raises(ArchiveDamaged):
        checked(data, expected, "full")


def test_deflated_bytes_that_are_none_are_damage() -> None:
    data, expected = archive("csv")
    files = files_of(data)
    files[-1] = File(files[-1].name, files[-1].content, b"\xff" * 100)
    data, expected = put_together(files, expected)
    with pytest.raises(ArchiveDamaged, match="Invalid deflate block"):
        checked(data, expected, "full")


@pytest.mark.parametrize("format", ["csv", "coco", "labelme"])
def test_a_bomb_is_put_out(format: str) -> None:
    """1.5 GiB in some megabytes, in each text file that the archive has."""
    data, built = archive(format)
    for at in range(built.stored_images, len(files_of(data))):
        files = files_of(data)
        files[at] = bomb(files[at].name)
        found, expected = put_together(files, built)
        tracemalloc.start()
        try:
            with pytest.raises(ArchiveDamaged, match="longer than the directory says"):
                checked(found, expected, "full")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 32 * 2**20
