"""The sums of files that an import remembers: never those of other bytes."""

import hashlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.importing import file_hashes
from services.importing.file_hashes import FileHashes, RememberedHashes, memory_place


@pytest.fixture(autouse=True)
def _short_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the file system of tests, whose clock goes on every few milliseconds."""
    monkeypatch.setattr(file_hashes, "_TICK", 50_000_000)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def lie(memory: Path) -> None:
    """Makes every remembered sum a wrong one, so that it is seen which is taken."""
    with sqlite3.connect(memory) as connection:
        connection.execute("UPDATE files SET sha256 = 'remembered'")


def settle() -> None:
    time.sleep(0.06)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    file, memory = tmp_path / "a", tmp_path / "cache" / "memory"
    file.write_bytes(b"one")
    settle()
    with RememberedHashes(memory) as hashes:
        assert (hashes.of(file).sha256, hashes.of(file).size) == (sha256(b"one"), 3)
    assert memory.parent.stat().st_mode & 0o777 == 0o700
    lie(memory)
    with RememberedHashes(memory) as hashes:
        assert (hashes.of(file).sha256, hashes.of(file).size) == ("remembered", 3)
        assert FileHashes().of(file).sha256 == sha256(b"one")


@settings(max_examples=40)
@given(changes=st.lists(st.sampled_from(("write", "back", "replace", "touch", "wait")), max_size=6))
def test_no_change_is_missed(tmp_path_factory: pytest.TempPathFactory, changes: list[str]) -> None:
    """Whatever is done to a file between two looks, and however fast, its sum is that of its
    bytes, which always have the same length."""
    folder = tmp_path_factory.mktemp("changes")
    file, number = folder / "a", 0

    def write(place: Path) -> None:
        nonlocal number
        number += 1
        place.write_bytes(b"%8d" % number)

    write(file)
    with RememberedHashes(folder / "memory") as hashes:
        for change in changes:
            hashes.of(file)
            # What was found goes to the memory.
            hashes._write()
            before = file.stat()
            match change:
                case "write":
                    write(file)
                case "back":
                    # As a tool does that keeps the times of what it copies.
                    write(file)
                    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
                case "replace":
                    write(folder / "b")
                    os.utime(folder / "b", ns=(before.st_atime_ns, before.st_mtime_ns))
                    (folder / "b").replace(file)
                case "touch":
                    file.touch()
                case "wait":
                    settle()
            assert hashes.of(file).sha256 == sha256(file.read_bytes())


def test_what_was_just_written_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    file, memory = tmp_path / "a", tmp_path / "memory"
    file.write_bytes(b"one")
    with RememberedHashes(memory) as hashes:
        hashes.of(file)
    lie(memory)
    with RememberedHashes(memory) as hashes:
        assert hashes.of(file).sha256 == sha256(b"one")


def test_a_damaged_memory_is_made_anew(tmp_path: Path) -> None:
    file, memory = tmp_path / "a", tmp_path / "memory"
    file.write_bytes(b"one")
    settle()
    memory.write_bytes(b"no database at all" * 100)
    for _ in range(2):
        with RememberedHashes(memory) as hashes:
            assert hashes.of(file).sha256 == sha256(b"one")
    lie(memory)
    with RememberedHashes(memory) as hashes:
        assert hashes.of(file).sha256 == "remembered"


def test_without_a_place_every_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    with RememberedHashes(file / "no folder" / "memory") as hashes:
        assert hashes.of(file).sha256 == sha256(b"one")
    with RememberedHashes(tmp_path / "memory") as hashes, pytest.raises(FileNotFoundError):
        hashes.of(tmp_path / "none")


def test_the_memory_lies_in_the_users_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert memory_place() == Path("/home/somebody/.cache/cartouche/file-hashes.db")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert memory_place() == Path("/caches/cartouche/file-hashes.db")
    # Others are to be ignored.
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert memory_place() == Path("/home/somebody/.cache/cartouche/file-hashes.db")
