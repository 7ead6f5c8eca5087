"""Where the images of an earlier archive lie, as its central directory tells it."""

import logging
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from services.exports.earlier import EarlierExport
from services.storage import Extract, ObjectStore, StorageError
from workers.archive.differences import MOST_WAITING
from workers.archive.entries import Method, local_entry_size
from workers.archive.reader import DirectoryRecord, End, read_directory, read_end

logger = logging.getLogger(__name__)

#: Bytes that the end record of an archive has at most, with that of ZIP64.
_END = 22 + 20 + 56
_PIECE = 2 * 1024 * 1024
#: Memory of an entry: its hash and its offset, and the same in order, while they are sorted.
_ENTRY = 48
#: Memory of the images that wait until it shows whether they are copied.
_WAITING = 1024 * MOST_WAITING


class EarlierArchive:
    """The image entries of an archive in their order, of which a hash and an offset are kept.

    The bytes of an entry follow from its name, its CRC-32 and its size: what has equal ones is
    equal. Places count the entries from 0.
    """

    def __init__(self, key: str, etag: str, generation: int) -> None:
        self.generation = generation
        self._key = key
        self._etag = etag
        self._hashes = array("q")
        self._offsets = array("Q", [0])
        #: The hashes in order, and the place of each.
        self._sorted = array("q")
        self._places = array("q")

    @property
    def memory(self) -> int:
        """Bytes that it takes to compare another archive with this one, about."""
        return _memory(len(self._hashes))

    def add(self, record: DirectoryRecord) -> bool:
        """Takes the next entry; False: it is no image, or not where the one before has ended."""
        if record.method != Method.STORED or record.offset != self._offsets[-1]:
            return False
        self._hashes.append(hash((record.name, record.crc32, record.size)))
        self._offsets.append(record.offset + local_entry_size(record.name, record.size))
        return True

    def place(self, name: str, crc32: int, size: int, expected: int) -> int:
        """The place of an equal entry, which is looked for at the expected one first; -1: there is
        none."""
        found = hash((name, crc32, size))
        if expected < len(self._hashes) and self._hashes[expected] == found:
            return expected
        if len(self._sorted) != len(self._hashes):
            self._sort()
        # Of an array of Python's, as NumPy takes its time for a single value.
        index = bisect_left(self._sorted, found)
        if index == len(self._sorted) or self._sorted[index] != found:
            return -1
        return self._places[index]

    def _sort(self) -> None:
        hashes = np.frombuffer(self._hashes, np.int64)
        places = np.argsort(hashes, kind="stable")
        self._places = array("q", places.tobytes())
        self._sorted = array("q", hashes[places].tobytes())

    def extract(self, first: int, after: int) -> Extract:
        """The bytes of the entries from the first place to the one before `after`."""
        start = self._offsets[first]
        return Extract(self._key, self._etag, start, self._offsets[after] - start)

    @classmethod
    def read(
        cls,
        store: ObjectStore,
        export: EarlierExport,
        take: Callable[[int], None],
        check: Callable[[], None],
    ) -> Self | None:
        """Reads the directory of an earlier export's archive; None: nothing can be copied of it.

        `take` is told how much memory it needs beyond what every step has, before it needs it, and
        `check` is called now and then; what they raise comes out.
        """
        try:
            return cls._read(store, export, take, check)
        except (StorageError, ValueError) as error:
            # It may have been deleted at this very moment: the archive is built all the same.
            logger.info(
                "an earlier archive is of no use",
                extra={"earlier_export_id": export.export_id, "error": str(error)},
            )
            return None

    @classmethod
    def _read(
        cls,
        store: ObjectStore,
        export: EarlierExport,
        take: Callable[[int], None],
        check: Callable[[], None],
    ) -> Self | None:
        bucket = store.exports_bucket
        stat = store.stat(bucket, export.key)
        if stat is None or stat.size != export.file_size or not stat.etag:
            return None
        if not store.copies_parts():
            return None
        end = _end(store, export)
        take(_memory(end.entry_count))
        found = cls(export.key, stat.etag, export.generation)

        def pieces() -> Iterator[bytes]:
            left, offset = end.size, end.offset
            while left:
                check()
                piece = store.read_range(bucket, export.key, offset, min(_PIECE, left))
                if not piece:
                    return
                offset, left = offset + len(piece), left - len(piece)
                yield piece

        for record in read_directory(pieces()):
            if not found.add(record):
                break
        return found


def _memory(entry_count: int) -> int:
    return _ENTRY * entry_count + _WAITING


def _end(store: ObjectStore, export: EarlierExport) -> End:
    length = min(_END, export.file_size)
    offset = export.file_size - length
    return read_end(store.read_range(store.exports_bucket, export.key, offset, length))
