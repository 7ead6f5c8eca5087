"""The SHA-256 of files, remembered from one import to the next.

A file that has the size, the inode and both times that it had when it was read has the bytes that
it had, unless it was written to again within the same tick of its clock: what was written to less
than `_TICK` before it was read is not remembered (as git takes it, under the name racy:
https://git-scm.com/docs/racy-git). The time of the last change of the inode counts too, which no
tool sets back.
"""

import hashlib
import os
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

#: Nanoseconds; file systems keep times as coarse as two seconds.
_TICK = 3 * 10**9
#: Sums that are written in one transaction.
_BATCH = 2_000
#: Bytes of the memory, which begins anew beyond: two million files.
_MOST_BYTES = 512 * 1024 * 1024
#: Seconds that another import may keep it.
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class FileHash:
    """A file as it was read."""

    #: Lower-case hexadecimal.
    sha256: str
    size: int


class FileHashes:
    """The sums of files, each read when it is asked for."""

    def of(self, file: Path) -> FileHash:
        """Reads a file.

        Raises:
            OSError: it cannot be read.
        """
        return _read(file)[0]

    def close(self) -> None:
        """Writes what is to be remembered."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RememberedHashes(FileHashes):
    """The sums of files, which are read where they have changed since. Used by one thread at a
    time. Where nothing can be remembered every file is read."""

    def __init__(self, place: Path) -> None:
        """`place`: the file of the memory, made where it is missing."""
        self._place = place
        self._new: list[tuple[bytes, int, int, int, int, str]] = []
        self._memory: sqlite3.Connection | None = None
        try:
            self._open()
        except (sqlite3.Error, OSError):
            self._forget()

    def of(self, file: Path) -> FileHash:
        path = os.fsencode(os.path.abspath(file))
        if self._memory is not None:
            known = self._known(path, os.stat(path))
            if known is not None:
                return known
        found, state = _read(file)
        if self._memory is not None and state is not None:
            self._new.append((path, *state, found.sha256))
            if len(self._new) == _BATCH:
                self._write()
        return found

    def close(self) -> None:
        self._write()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _open(self) -> None:
        self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._place.exists() and self._place.stat().st_size > _MOST_BYTES:
            self._place.unlink()
        self._memory = sqlite3.connect(self._place, _PATIENCE, check_same_thread=False)
        self._memory.execute(
            "CREATE TABLE IF NOT EXISTS files (path BLOB PRIMARY KEY, size INTEGER, mtime INTEGER,"
            " ctime INTEGER, inode INTEGER, sha256 TEXT) WITHOUT ROWID"
        )

    def _known(self, path: bytes, now: os.stat_result) -> FileHash | None:
        assert self._memory is not None
        try:
            row = self._memory.execute(
                "SELECT size, mtime, ctime, inode, sha256 FROM files WHERE path = ?", (path,)
            ).fetchone()
        except sqlite3.Error:
            self._forget()
            return None
        if row is None or row[:4] != _state(now):
            return None
        return FileHash(row[4], now.st_size)

    def _write(self) -> None:
        new, self._new = self._new, []
        if self._memory is None or not new:
            return
        try:
            with self._memory:
                self._memory.executemany("REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", new)
        except sqlite3.Error:
            self._forget()

    def _forget(self) -> None:
        """Goes on without a memory; one that is damaged makes room for the next."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        with suppress(OSError):
            if not _is_memory(self._place):
                self._place.unlink()


def memory_place() -> Path:
    """Where sums are remembered, below the user's folder of caches
    (https://specifications.freedesktop.org/basedir-spec/latest/)."""
    caches = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(caches) if caches.startswith("/") else Path("~/.cache").expanduser()
    return folder / "cartouche" / "file-hashes.db"


def _state(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _read(file: Path) -> tuple[FileHash, tuple[int, int, int, int] | None]:
    """A file, and the state in which it has these bytes alone; None: there may be another."""
    with file.open("rb", buffering=0) as content:
        began_at = time.time_ns()
        before = os.fstat(content.fileno())
        digest = hashlib.file_digest(content, "sha256")
        state = _state(os.fstat(content.fileno()))
    is_certain = state == _state(before) and max(state[1], state[2]) < began_at - _TICK
    return FileHash(digest.hexdigest(), state[0]), state if is_certain else None


def _is_memory(place: Path) -> bool:
    """Whether a file is a database that can be read, perhaps one that is in use."""
    try:
        with sqlite3.connect(place, 0) as connection:
            connection.execute("SELECT 1 FROM files LIMIT 1")
    except sqlite3.OperationalError:
        return True
    except sqlite3.Error:
        return False
    return True
