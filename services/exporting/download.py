"""Downloads of archives that go on where they were cut, and are checked.

The bytes lie in `FILE.part` until they are whole and right, and `FILE.part.of` says of which object
they are: a later run goes on with the same one (RFC 9110, Range), and begins anew with another.
Which object an answer is of is told by its ETag, its Last-Modified and its size together: a store
may ignore If-Match, and rclone's has an empty ETag and answers a range with 200.
"""

import hashlib
import http.client
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from isal import isal_zlib

from services.errors import CartoucheError, Unavailable

_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 60.0
#: Connections in a row that may bring no byte.
_ATTEMPTS = 6
_FIRST_WAIT = 0.25
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


#: By the proxies of the environment.
_opener = build_opener()


@dataclass(frozen=True, slots=True)
class Link:
    """Where an archive is to be had for a while, and what it must be."""

    url: str
    size: int
    #: CRC-32 of the whole archive; None: not known.
    crc32: int | None
    #: SHA-256 in lower-case hexadecimal; empty: not known.
    sha256: str


class Sums:
    """What the bytes so far add up to."""

    def __init__(self) -> None:
        self.size = 0
        self._crc32 = 0
        self._sha256 = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        self.size += len(data)
        self._crc32 = isal_zlib.crc32(data, self._crc32)
        self._sha256.update(data)

    def check(self, link: Link) -> None:
        """Raises:
        CartoucheError: these are not the bytes of the archive.
        """
        if self.size != link.size:
            raise _damaged(f"{self.size:,} bytes of {link.size:,}")
        if link.crc32 is not None and self._crc32 != link.crc32:
            raise _damaged(f"CRC-32 {self._crc32:08x} in place of {link.crc32:08x}")
        if link.sha256 and self._sha256.hexdigest() != link.sha256:
            raise _damaged("another SHA-256")


class _Target(Protocol):
    """Where the bytes of one object go."""

    #: The object that they are of; empty: none yet.
    object: str
    sums: Sums

    def begin(self, object: str) -> None:
        """Takes the bytes of this object, from its first one."""

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""


def download(signed: Callable[[], Link], file: Path, progress: Callable[[int], None]) -> None:
    """Puts an archive into a file, which appears when it is whole and its sums are right.

    Args:
        signed: gives a link that works now; asked again where one has ended.
        file: its folder exists; `FILE.part` beside it may be of an earlier run.
        progress: told how many bytes are there, those of an earlier run too.

    Raises:
        CartoucheError: the archive is damaged, or not there any more.
        Unavailable: the store does not answer.
        OSError: the file cannot be written.
    """
    part, mark = (file.with_name(file.name + end) for end in (".part", ".part.of"))
    with part.open("a+b") as opened:
        target = _File(opened, mark)
        progress(target.sums.size)
        link = _fetch(signed, target, progress)
        opened.flush()
        os.fsync(opened.fileno())
    try:
        target.sums.check(link)
    except CartoucheError:
        # Nothing can be added to it that would make it right.
        part.unlink()
        mark.unlink(missing_ok=True)
        raise
    part.rename(file)
    mark.unlink(missing_ok=True)


def stream(signed: Callable[[], Link], target: IO[bytes], progress: Callable[[int], None]) -> None:
    """Writes an archive to a stream, and checks it when everything has been written.

    Raises:
        CartoucheError: what was written is damaged, or the archive became another one meanwhile.
        Unavailable: the store does not answer.
    """
    written = _Stream(target)
    link = _fetch(signed, written, progress)
    target.flush()
    written.sums.check(link)


class _File:
    """A file that is added to, over several runs."""

    def __init__(self, opened: IO[bytes], mark: Path) -> None:
        self._opened = opened
        self._mark = mark
        self.sums = Sums()
        self.object = mark.read_text() if mark.exists() else ""
        if self.object:
            opened.seek(0)
            while data := opened.read(_CHUNK):
                self.sums.add(data)

    def begin(self, object: str) -> None:
        self._opened.truncate(0)
        self._mark.write_text(object)
        self.sums, self.object = Sums(), object

    def write(self, data: bytes) -> None:
        self._opened.write(data)
        self.sums.add(data)


class _Stream:
    """A stream, which takes nothing back."""

    def __init__(self, opened: IO[bytes]) -> None:
        self._opened = opened
        self.sums = Sums()
        self.object = ""

    def begin(self, object: str) -> None:
        if self.sums.size:
            raise CartoucheError(
                "ARCHIVE_CHANGED", "the archive became another one while it was read; read it again"
            )
        self.object = object

    def write(self, data: bytes) -> None:
        self._opened.write(data)
        self.sums.add(data)


def _fetch(signed: Callable[[], Link], target: _Target, progress: Callable[[int], None]) -> Link:
    """Reads what the target lacks, over as many connections as it takes."""
    failures = 0
    link = signed()
    while not target.object or target.sums.size < link.size:
        try:
            with _opened(link, target.object, target.sums.size) as answer:
                if not _is_rest(answer):
                    target.begin(_object(answer))
                for data in _chunks(answer):
                    target.write(data)
                    progress(target.sums.size)
                    failures = 0
            if target.sums.size < link.size:
                raise _Cut("it ended the answer early")
        except _Cut as error:
            failures += 1
            if failures == _ATTEMPTS:
                raise Unavailable(
                    "STORE_UNAVAILABLE",
                    f"the object store gives no more bytes: {error}. Is its public address "
                    "(CARTOUCHE_S3_PUBLIC_ENDPOINT) reached from here? The same command goes on "
                    "where this one stopped.",
                ) from None
            time.sleep(_FIRST_WAIT * 2 ** (failures - 1))
            link = signed()
    return link


class _Cut(Exception):
    """The answer is not whole; another one may be."""


@contextmanager
def _opened(link: Link, known: str, start: int) -> Iterator[http.client.HTTPResponse]:
    """The rest of the object that is known, or whatever object is there now from its first byte."""
    if known and start:
        with _asked(link, {"Range": f"bytes={start}-"}) as answer:
            if answer is not None and _object(answer) == known and _starts_at(answer, start):
                yield answer
                return
    with _asked(link, {}) as whole:
        if whole is None:
            raise _Cut("it refuses the range of an object that was asked for as a whole")
        yield whole


@contextmanager
def _asked(link: Link, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse | None]:
    """The answer of the store; None where there are fewer bytes than the range begins with."""
    if not link.url.startswith(("http://", "https://")):
        raise CartoucheError("LINK_UNUSABLE", "the server's link is no HTTP address")
    headers = {"Accept-Encoding": "identity", **headers}
    request = Request(link.url, headers=headers)  # noqa: S310  # It is HTTP, see above.
    try:
        answer = _opener.open(request, timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                yield None
                return
            if error.code == http.client.NOT_FOUND:
                raise CartoucheError(
                    "ARCHIVE_GONE", "the archive is not in the store any more; export it again"
                ) from None
            raise _Cut(f"it answers {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Cut(str(error)) from None
    with answer:
        yield answer


def _object(answer: http.client.HTTPResponse) -> str:
    """What tells an object from the one that replaces it."""
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    size = found[2] if found else answer.headers.get("Content-Length", "")
    return " ".join((answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", ""), size))


def _is_rest(answer: http.client.HTTPResponse) -> bool:
    return "Content-Range" in answer.headers


def _starts_at(answer: http.client.HTTPResponse, start: int) -> bool:
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == start


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            data = answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Cut(str(error)) from None
        if not data:
            return
        yield data


def _damaged(problem: str) -> CartoucheError:
    return CartoucheError(
        "ARCHIVE_DAMAGED", f"what arrived is not the archive: {problem}. Download it again."
    )
