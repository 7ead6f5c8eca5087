"""The bytes of an image: measured, summed and stored once, under the hash of their content."""

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO

from sqlalchemy import select

from services.catalog.pictures.measure import MAX_BYTES, MEASURE, Unreadable, measure
from services.database.engine import Database
from services.database.tables import contents
from services.errors import Invalid, NotFound
from services.storage import ObjectNotFound, ObjectStore
from services.texts import quoted

#: Larger images wait on disk, not in memory.
_IN_MEMORY = 16 * 1024 * 1024
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """Stored bytes: where they lie and what they measure."""

    object_key: str
    size: int
    crc32: int
    sha256: str
    #: Pixels as displayed: orientation applied.
    width: int
    height: int


class Spool:
    """Bytes of one image on their way in, in memory up to 16 MiB and on disk beyond."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self.size += len(piece)

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the start, in pieces of at most 1 MiB."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece

    def image_size(self) -> tuple[int, int]:
        """Width and height in pixels, as displayed.

        Raises:
            Invalid: this is no image that can be read.
        """
        try:
            picture = measure(self._file)
        except Unreadable as error:
            raise Invalid.of("image", f"{error}; check the file") from None
        return picture.width, picture.height

    def close(self) -> None:
        self._file.close()


def known_contents(
    database: Database, organization_id: str, hashes: Collection[str]
) -> dict[str, Content]:
    """What the organization has stored under these SHA-256, by hash; not what an older
    version measured, which may have another size by now."""
    query = select(contents).where(
        contents.c.organization_id == organization_id,
        contents.c.sha256.in_(hashes),
        contents.c.measure == MEASURE,
    )
    with database.read() as connection:
        return {
            row.sha256: Content(
                row.object_key, row.size, row.crc32, row.sha256, row.width, row.height
            )
            for row in connection.execute(query)
        }


def forget_content(database: Database, organization_id: str, sha256: str) -> None:
    """Trusts no longer that these bytes are stored: the next import sends them again."""
    with database.write() as connection:
        connection.execute(
            contents.delete().where(
                contents.c.organization_id == organization_id, contents.c.sha256 == sha256
            )
        )


def store_content(store: ObjectStore, organization_id: str, spool: Spool) -> Content:
    """Puts the bytes into the images bucket. The same bytes get the same key.

    Raises:
        Invalid: this is no image that can be read.
        StorageError: the store did not take it.
    """
    width, height = spool.image_size()
    sha256, crc32 = _sums(spool.pieces())
    key = f"{organization_id}/sha256/{sha256[:2]}/{sha256}"
    if spool.size <= _IN_MEMORY:
        # Tried again by itself where the connection breaks.
        store.put(store.images_bucket, key, b"".join(spool.pieces()))
    else:
        store.put_stream(store.images_bucket, key, spool.size, spool.pieces())
    return Content(key, spool.size, crc32, sha256, width, height)


def stored_content(store: ObjectStore, organization_id: str, key: str) -> Content:
    """Measures an object that lies in the images bucket already, reading it once.

    Raises:
        NotFound: there is no such object under the organization's prefix.
        Invalid: the object is no image that can be read.
        StorageError: the store did not answer.
    """
    missing = NotFound(
        "OBJECT_NOT_FOUND",
        f"No object {quoted(key)} was found. Keys begin with the organization's id and a slash.",
        {"object_key": key},
    )
    if not key.startswith(f"{organization_id}/") or ".." in key.split("/"):
        raise missing
    spool = Spool()
    try:
        for piece in store.stream(store.images_bucket, key):
            if spool.size + len(piece) > MAX_BYTES:
                raise Invalid.of("object_key", "names an image above 4 GiB")
            spool.write(piece)
        width, height = spool.image_size()
        sha256, crc32 = _sums(spool.pieces())
        return Content(key, spool.size, crc32, sha256, width, height)
    except ObjectNotFound:
        raise missing from None
    finally:
        spool.close()


def _sums(pieces: Iterable[bytes]) -> tuple[str, int]:
    digest, crc32 = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        crc32 = zlib.crc32(piece, crc32)
    return digest.hexdigest(), crc32
