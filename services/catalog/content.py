"""The bytes of an image: measured, summed, and stored once for each organization.

Where they lie is kept by their SHA-256. What is stored anew gets a key that nobody had before,
so that the removal of older bytes, however late, cannot meet it.
"""

import hashlib
import secrets
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO

from sqlalchemy import Connection, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from services.catalog.pictures.measure import MAX_BYTES, MEASURE, Unreadable, measure
from services.database.among import among
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import contents, released_objects
from services.errors import Invalid, NotFound
from services.storage import ObjectNotFound, ObjectStore, crc32, retried
from services.texts import quoted

#: Larger images wait on disk, not in memory.
IN_MEMORY = 1024 * 1024
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
    #: It was found in the record, and may be gone by the time that an image refers to it.
    is_found: bool = field(default=False, compare=False)
    #: It was stored a moment ago under a key that nobody else knows.
    is_fresh: bool = field(default=False, compare=False)


def own_prefix(organization_id: str) -> str:
    """What the keys of objects begin with that Cartouche stores, and removes, in the images
    bucket; all others are their owners'."""
    return f"{organization_id}/sha256/"


class ReleasedState(StrEnum):
    """What is known of an object that an image has ceased to use."""

    released = "released"
    #: The release is committed.
    seen = "seen"
    #: Nobody needs it, and nobody can find it any more: it is being removed.
    condemned = "condemned"


class Spool:
    """Bytes of one image on their way in, in memory up to 1 MiB and on disk beyond."""

    def __init__(self) -> None:
        self.size = 0
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115

    @classmethod
    def of(cls, data: bytes) -> "Spool":
        """Bytes that are there already."""
        spool = cls()
        spool._file, spool.size = BytesIO(data), len(data)
        return spool

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


class Unkept(Spool):
    """Bytes that are counted and not kept."""

    def write(self, piece: bytes) -> None:
        self.size += len(piece)


def find_contents(
    database: Database, organization_id: str, hashes: Collection[str]
) -> tuple[dict[str, Content], set[str]]:
    """What the organization has stored under these SHA-256, by hash; and those of them that it has
    nothing under. What an older version measured is in neither: it may have another size by now.
    """
    absent = set(hashes)
    known = {}
    with database.read() as connection:
        query = select(contents).where(
            contents.c.organization_id == organization_id,
            among(connection, contents.c.sha256, hashes),
        )
        for row in connection.execute(query):
            absent.discard(row.sha256)
            if row.measure == MEASURE:
                known[row.sha256] = Content(
                    row.object_key,
                    row.size,
                    row.crc32,
                    row.sha256,
                    row.width,
                    row.height,
                    is_found=True,
                )
    return known, absent


def forget_content(database: Database, organization_id: str, sha256: str) -> None:
    """Trusts no longer that these bytes are stored: the next import sends them again, to the
    same place, so that what refers to them is mended."""
    with database.write() as connection:
        connection.execute(
            contents.update()
            .where(contents.c.organization_id == organization_id, contents.c.sha256 == sha256)
            .values(measure=0)
        )


def store_content(
    database: Database,
    store: ObjectStore,
    organization_id: str,
    spool: Spool,
    absent: Container[str] = (),
) -> Content:
    """Puts the bytes into the images bucket: where they were before, or under a new key, as those
    whose SHA-256 was `absent` a moment ago.

    Raises:
        Invalid: this is no image that can be read.
        StorageError: the store did not take it.
        Unavailable: the database is away.
    """
    width, height = spool.image_size()
    sha256, crc = _sums(spool.pieces())
    pinned = None if sha256 in absent else _pinned(database, organization_id, sha256)
    key = pinned or f"{own_prefix(organization_id)}{sha256[:2]}/{sha256}-{secrets.token_hex(8)}"
    # Each try begins with the first byte.
    retried(lambda: store.put_stream(store.images_bucket, key, spool.size, spool.pieces(), crc))
    return Content(key, spool.size, crc, sha256, width, height, is_fresh=pinned is None)


def _pinned(database: Database, organization_id: str, sha256: str) -> str | None:
    """The key of Cartouche's own where these bytes lie, kept from removal for as long as a call
    may take; None: there is none."""
    mine = and_(
        contents.c.organization_id == organization_id,
        contents.c.sha256 == sha256,
        contents.c.object_key.startswith(own_prefix(organization_id), autoescape=True),
    )
    with database.read() as connection:
        if connection.execute(select(contents.c.sha256).where(mine)).first() is None:
            return None
    pin = contents.update().where(mine).values(pinned_at=now()).returning(contents.c.object_key)
    with database.write() as connection:
        key: str | None = connection.scalar(pin)
    return key


def stored_content(store: ObjectStore, organization_id: str, key: str, limit: int) -> Content:
    """Measures an object that lies in the images bucket already, reading it once. It has at most
    `limit` bytes.

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
            if spool.size + len(piece) > min(limit, MAX_BYTES):
                raise Invalid.of(
                    "object_key",
                    f"names an image above {min(limit, MAX_BYTES)} bytes, more than this server "
                    "takes (CARTOUCHE_IMPORT_SPACE, 4 GiB at most); use smaller images",
                )
            spool.write(piece)
        width, height = spool.image_size()
        sha256, crc = _sums(spool.pieces())
        is_own = key.startswith(own_prefix(organization_id))
        return Content(key, spool.size, crc, sha256, width, height, is_found=is_own)
    except ObjectNotFound:
        raise missing from None
    finally:
        spool.close()


def _sums(pieces: Iterable[bytes]) -> tuple[str, int]:
    digest, crc = hashlib.sha256(), 0
    for piece in pieces:
        digest.update(piece)
        crc = crc32(piece, crc)
    return digest.hexdigest(), crc


def settle_contents(
    connection: Connection, organization_id: str, wanted: Iterable[Content]
) -> dict[str, str]:
    """Records contents, in the transaction that records their images: the keys that these are to
    refer to, by SHA-256; none for what was found, but is there no longer.

    Until the transaction ends nobody removes them.
    """
    by_hash: dict[str, Content] = {}
    for content in wanted:
        # Bytes that have just come in say more than what was found.
        if content.sha256 not in by_hash or by_hash[content.sha256].is_found:
            by_hash[content.sha256] = content
    # In one order everywhere, so that two streams cannot wait for each other.
    hashes = sorted(by_hash)
    mine = contents.c.organization_id == organization_id
    known = {
        row.sha256: row
        for row in connection.execute(
            select(contents.c.sha256, contents.c.object_key, contents.c.measure)
            .where(mine, among(connection, contents.c.sha256, hashes))
            .order_by(contents.c.sha256)
            .with_for_update(key_share=True)
        )
    }
    keys = {sha256: row.object_key for sha256, row in known.items()}
    changed = []
    for sha256, row in known.items():
        content = by_hash[sha256]
        if content.is_found:
            if row.measure != MEASURE:
                del keys[sha256]
            continue
        in_place = row.measure == MEASURE or content.object_key == row.object_key
        if not (in_place and _is_own(organization_id, row.object_key)):
            keys[sha256] = content.object_key
        if row.measure < MEASURE or keys[sha256] != row.object_key:
            changed.append(
                {
                    "changed": sha256,
                    "object_key": keys[sha256],
                    "width": content.width,
                    "height": content.height,
                    "measure": MEASURE,
                }
            )
    if changed:
        connection.execute(
            contents.update().where(mine, contents.c.sha256 == bindparam("changed")), changed
        )
    new = [by_hash[sha256] for sha256 in hashes if sha256 not in known]
    return keys | _insert_contents(connection, organization_id, [c for c in new if not c.is_found])


def _insert_contents(
    connection: Connection, organization_id: str, new: Sequence[Content]
) -> dict[str, str]:
    if not new:
        return {}
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(contents)
    rows = [
        {
            "organization_id": organization_id,
            "sha256": content.sha256,
            "object_key": content.object_key,
            "size": content.size,
            "crc32": content.crc32,
            "width": content.width,
            "height": content.height,
            "measure": MEASURE,
        }
        for content in new
    ]
    # Where another stream was faster a moment ago, its key is taken.
    inserted = connection.execute(
        insert.on_conflict_do_update(
            index_elements=[contents.c.organization_id, contents.c.sha256],
            set_={"measure": insert.excluded.measure},
        ).returning(contents.c.sha256, contents.c.object_key),
        rows,
    )
    return {row.sha256: row.object_key for row in inserted}


def _is_own(organization_id: str, key: str) -> bool:
    return key.startswith(own_prefix(organization_id))


def release_objects(
    connection: Connection, organization_id: str, released: Iterable[tuple[str, str]]
) -> None:
    """Notes objects (key and SHA-256) that an image uses no longer: they go when nothing else
    needs them. Those that are not of Cartouche's own are their owners'."""
    rows = [
        {
            "object_key": key,
            "organization_id": organization_id,
            "sha256": sha256,
            "state": ReleasedState.released,
        }
        for key, sha256 in sorted(set(released))
        if _is_own(organization_id, key)
    ]
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(released_objects)
    connection.execute(
        insert.on_conflict_do_update(
            # One that was used again meanwhile counts anew.
            index_elements=[released_objects.c.object_key],
            set_={"state": ReleasedState.released, "seen_at": None},
        ),
        rows,
    )
