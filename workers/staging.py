"""Where segments leave their text until the finish step: in the store, or in memory."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from services.exports.claims import ExportClaim, SegmentClaim
from services.exports.model import staging_prefix
from services.storage import ObjectStore, WriteBehind

#: Bytes of an object that are worth to be kept until it is read again.
_KEPT = 256 * 1024
#: Bytes that are read at once.
_READ = 256 * 1024


def stage_of(claim: ExportClaim | SegmentClaim) -> str:
    """What the keys begin with that a claim stages: its own, so that attempts never mix."""
    if isinstance(claim, SegmentClaim):
        # The key of its manifest tells which plan it is of.
        return f"{claim.manifest_key}.{claim.attempt}-"
    return f"manifest-{claim.attempt}-"


def discard_stage(store: ObjectStore, claim: ExportClaim | SegmentClaim) -> None:
    """Removes what a claim staged that was lost: the export's own end may be past already.

    Raises:
        StorageError: as the store says.
    """
    export = claim.export if isinstance(claim, SegmentClaim) else claim
    prefix = staging_prefix(export.organization_id, export.export_id)
    store.delete_prefix(store.exports_bucket, prefix + stage_of(claim))


class Staging(Protocol):
    """What is kept by key."""

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Keeps what the pieces are together; the same key again replaces it."""
        ...

    def stream(self, key: str) -> Iterator[bytes]:
        """What was kept, in chunks."""
        ...


class StoreStaging:
    """Staged objects in the exports bucket, under an export's staging prefix."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Stores them as an object."""
        self._store.put_pieces(self._store.exports_bucket, self._prefix + key, pieces)

    def stream(self, key: str) -> Iterator[bytes]:
        """Reads it back."""
        return self._store.stream(
            self._store.exports_bucket, self._prefix + key, _READ, is_checked=True
        )


class StagingBehind:
    """Stages in the store without waiting for what was staged before; the end of the block waits
    for all of it."""

    def __init__(self, staging: StoreStaging, writes: WriteBehind) -> None:
        self._staging = staging
        self._writes = writes

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Begins to store them; what an earlier one raised comes out of this one."""
        self._writes.begin(partial(self._staging.put, key, pieces), sum(map(len, pieces)))

    def stream(self, key: str) -> Iterator[bytes]:
        """Reads back what was stored before the block."""
        return self._staging.stream(key)


class ReadOnce:
    """Staged objects of which the last one that was read lies in memory, where it is small: what
    reads a manifest twice asks the store for it once."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._key = ""
        self._chunks: list[bytes] = []

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Stages as the other does; what was read before is not staged again."""
        self._staging.put(key, pieces)

    def stream(self, key: str) -> Iterator[bytes]:
        """Reads it, or gives again what was read to its end before."""
        if key == self._key:
            yield from self._chunks
            return
        chunks: list[bytes] = []
        held = 0
        for chunk in self._staging.stream(key):
            held += len(chunk)
            if held <= _KEPT:
                chunks.append(chunk)
            yield chunk
        if held <= _KEPT:
            self._key, self._chunks = key, chunks


class OutOfRoom(Exception):
    """What was to be kept in memory takes more than was reckoned."""


class MemoryStaging:
    """For an export that one task builds: nothing leaves the process, which keeps so many bytes at
    most; None: as many as come."""

    def __init__(self, room: int | None = None) -> None:
        self._pieces: dict[str, Sequence[bytes]] = {}
        self._room = room

    def put(self, key: str, pieces: Sequence[bytes]) -> None:
        """Keeps them.

        Raises:
            OutOfRoom: it has no room for them.
        """
        if self._room is not None:
            self._room -= sum(map(len, pieces))
            if self._room < 0:
                raise OutOfRoom
        self._pieces[key] = pieces

    def stream(self, key: str) -> Iterator[bytes]:
        """Gives them back."""
        yield from self._pieces[key]

    def clear(self) -> None:
        """Keeps nothing any more."""
        self._pieces.clear()
