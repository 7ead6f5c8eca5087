"""Archives: finished ones of every format, changed, and checked as before they are handed out.

Two kinds of changes: of the bytes as they lie in the store, and of what a file says, in an archive
that is put together again around it, so that directory, sums and lengths agree with the lie.
"""

import io
import random
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

from services.formats.registry import FORMATS
from services.storage import ObjectStore
from tests.fuzz.chance import changed, changed_document
from tests.memory_archives import InMemory, archive_of
from tests.unit.formats.archives import box, image, info, keypoint, polygon
from workers.archive.directory import DirectoryWriter
from workers.archive.entries import Entry, Method, local_header, pack_record
from workers.check import AT_ONCE, Expected, check
from workers.leases import Held
from workers.proofreading import ArchiveDamaged

#: Bytes that a small entry becomes once it is read.
_BOMB = 1536 * 2**20


@dataclass(frozen=True)
class File:
    """A file of an archive: its content, or deflated bytes that are none."""

    name: str
    content: bytes
    deflated: bytes | None = None
    #: What is said of its size, where that is not the truth.
    size: int | None = None


@cache
def archives() -> tuple[tuple[bytes, Expected], ...]:
    """One of each format, as the workers build it."""
    pictures = [
        image([box("1", 1, 2, 9, 8), polygon("2", [(1, 1), (50, 1), (5, 40)])], 1, 1),
        image([keypoint("3", "nose", 5, 6, 1), box("4", 3, 3, 9, 9)], 2, 3, split="val"),
        image((), 3, 5, split="test"),
    ]
    return tuple(
        archive_of(
            info(name, include_images=True),
            pictures,
            [FORMATS[name].writer.image_path(one, info(name)) for one in pictures],
            b"photo" * 20,
        )
        for name in FORMATS
    )


def bomb(name: str) -> File:
    """A file that says it has 100 bytes."""
    return File(name, b"", _bomb(), size=100)


@cache
def _bomb() -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = bytes(2**20)
    # What comes after a full flush does not depend on what was before: no case takes long to make.
    packed = deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
    return packed * (_BOMB // len(piece)) + deflate.flush()


def put_together(files: list[File], expected: Expected) -> tuple[bytes, Expected]:
    """An archive of these files, the images first, and what its check expects of it."""
    body, directory, records = bytearray(), DirectoryWriter(), bytearray()
    text_start = 0
    for number, file in enumerate(files):
        if number == expected.stored_images:
            text_start = len(body)
        is_image = number < expected.stored_images
        packed = file.content if is_image else _deflated(file.content)
        entry = Entry(
            file.name,
            zlib.crc32(file.content),
            len(file.content) if file.size is None or is_image else file.size,
            len(packed if file.deflated is None else file.deflated),
            Method.STORED if is_image else Method.DEFLATED,
        )
        records += pack_record(entry, len(body))
        body += local_header(entry) + (packed if file.deflated is None else file.deflated)
    start = len(body)
    data = bytes(body) + directory.records(bytes(records), 0)
    data += directory.end(start)
    return data, replace(
        expected,
        size=len(data),
        text_start=text_start,
        directory_start=start,
        entry_count=directory.entry_count,
    )


def _deflated(content: bytes) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(content) + deflate.flush()


def files_of(data: bytes) -> list[File]:
    """The files of a sound archive, in their order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [File(name, archive.read(name)) for name in archive.namelist()]


def checked(data: bytes, expected: Expected, depth: str, at_once: int = 0) -> str | None:
    """What the check of a worker says of these bytes."""
    archive: Any = InMemory(data)
    store, held = cast(ObjectStore, archive), cast(Held, archive)
    return check(store, held, expected, depth, at_once=at_once)


def fuzz(dice: random.Random) -> bytes:
    """Checks one changed archive; a refusal is an answer, anything else a finding.

    Returns:
        The bytes that were checked.

    Raises:
        AssertionError: every byte was checked and passed, and another reader of archives finds
            fault with them.
    """
    sound, expected = dice.choice(archives())
    data = sound
    if dice.random() < 0.5:
        data, expected = put_together(_changed_files(files_of(sound), expected, dice), expected)
    if data == sound or dice.random() < 0.4:
        data = changed(data, dice)
        if dice.random() < 0.7:
            # As if it had been built so: what reads it gets further.
            expected = replace(expected, size=len(data))
    with suppress(ArchiveDamaged):
        if checked(data, expected, dice.choice(("sample", "full")), dice.choice((0, AT_ONCE))):
            read_by_another(data)
    return data


def read_by_another(data: bytes) -> None:
    """Reads an archive with `zipfile`.

    Raises:
        AssertionError: it finds fault with it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            fault = archive.testzip()
    except Exception as error:
        raise AssertionError("it passed, and zipfile cannot read it") from error
    assert fault is None, fault


def _changed_files(files: list[File], expected: Expected, dice: random.Random) -> list[File]:
    files = list(files)
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(len(files))
        file = files[at]
        match dice.randrange(12):
            case 0:
                files[at] = replace(file, name=_name(file.name, dice))
            case 1:
                files[at] = replace(file, size=dice.choice((0, 1, 2**32 - 2, 2**33, 2**63)))
            case 2 if at >= expected.stored_images:
                files[at] = replace(file, deflated=changed(_deflated(file.content), dice))
            case 3 if dice.random() < 0.02 and at >= expected.stored_images:
                files[at] = bomb(file.name)
            case 4:
                files.insert(at, dice.choice(files))
            case _:
                files[at] = replace(file, content=_content(file, dice))
    return files


def _content(file: File, dice: random.Random) -> bytes:
    if file.name.endswith(".json") and dice.random() < 0.7:
        # One that is changed already may be no document any more.
        with suppress(ValueError):
            return changed_document(file.content, dice)
    return changed(file.content, dice)


def _name(name: str, dice: random.Random) -> str:
    return changed(name.encode(), dice).decode(errors="ignore")[:60_000] or "x"
