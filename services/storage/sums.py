"""Sums of what is stored: a bit that flips on its way to the store is noticed before it counts.

Every object and part goes with its CRC-32 (`x-amz-checksum-crc32`). A store that knows the header
refuses other bytes, and repeats it in its answer. Of a store that does not, the ETag is looked at,
which is the MD5 of the bytes that it got on most servers, and on some is not. Uploads are not begun
with the algorithm, as version 0.2.0, which may build some of their parts, sends no sums.
"""

import hashlib
import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from email.message import Message
from typing import Any

from isal.isal_zlib import crc32

from services.storage.errors import DamagedOnItsWay, StorageUnavailable

__all__ = ["SUM_MODE", "Arrival", "Confirmations", "ETags", "crc32"]

logger = logging.getLogger(__name__)

#: Asks for the sum with an object.
SUM_MODE = {"x-amz-checksum-mode": "ENABLED"}
SUM_HEADER = "x-amz-checksum-crc32"
#: Answers in a row whose ETag is another than the MD5, before any that has it: then it is none.
_STRANGE = 3
#: What a store may answer to a header that it does not take.
_REFUSALS = frozenset(("InvalidArgument", "InvalidRequest", "NotImplemented"))
_MD5 = re.compile("[0-9a-f]{32}")


def _encoded(crc: int) -> str:
    """A CRC-32 as S3 writes it."""
    return b64encode(crc.to_bytes(4, "big")).decode()


class ETags:
    """Whether the ETags of a bucket are the MD5 of what it holds, learned from its answers."""

    def __init__(self) -> None:
        #: None: not known yet.
        self.are_md5: bool | None = None
        self._others = 0

    def learn(self, *, is_md5: bool) -> None:
        """Takes down what an answer about bytes showed that arrived whole."""
        self.are_md5 = is_md5

    def is_damage(self, etag: str, md5: str) -> bool:
        """Whether an ETag says that other bytes arrived than those with this MD5, which nothing
        else is known of."""
        if etag == md5:
            self.are_md5 = True
        elif self.are_md5 is None:
            self._others += 1
            if not _MD5.fullmatch(etag) or self._others == _STRANGE:
                self.are_md5 = False
        return etag != md5 and self.are_md5 is not False


class Confirmations:
    """How a bucket confirms what it got of one kind, objects or parts, learned from its answers.
    Safe for threads."""

    def __init__(self, etags: ETags) -> None:
        self._etags = etags
        self._takes_sums = True
        self._confirms_sums = False
        self._is_warned = False

    def watch(self, body: bytes | Iterable[bytes], crc: int | None) -> "Transfer":
        """A body that is about to be sent; without a CRC-32 where it is not known before."""
        goes = self._takes_sums and crc is not None
        headers = {SUM_HEADER: _encoded(crc)} if goes and crc is not None else {}
        known = self._etags.are_md5
        hashes = known is None or (known and not (goes and self._confirms_sums))
        return Transfer(body, headers, hashes=hashes)

    def refused(self, transfer: "Transfer", code: str) -> None:
        """Looks whether it may be the sum that the store refused: AWS takes that of a part only
        where the upload was begun with the algorithm.

        Raises StorageUnavailable where it may: the same is to be sent again, without it.
        """
        if transfer.headers and not self._confirms_sums and code in _REFUSALS:
            self._takes_sums = False
            raise StorageUnavailable(
                f"the object store may take no sums ({code}): none is sent now"
            )

    def check(self, transfer: "Transfer", answer: Message, place: str) -> None:
        """Looks whether a store that answered with success has got what was sent.

        Raises DamagedOnItsWay where it has not.
        """
        etag = answer.get("ETag", "").strip('"')
        if answer.get("x-amz-server-side-encryption", "").startswith("aws:kms"):
            self._etags.learn(is_md5=False)
        md5 = transfer.digest.hexdigest() if transfer.digest else None
        confirmed = answer.get(SUM_HEADER)
        if transfer.headers and confirmed is not None:
            if confirmed != transfer.headers[SUM_HEADER]:
                raise DamagedOnItsWay(place)
            self._confirms_sums = True
            if md5 and self._etags.are_md5 is None:
                self._etags.learn(is_md5=etag == md5)
        elif md5:
            if self._etags.is_damage(etag, md5):
                raise DamagedOnItsWay(place)
        elif self._confirms_sums and transfer.headers:
            # It did before: another server may answer now.
            self._confirms_sums = False
            raise StorageUnavailable(f"the object store did not confirm the sum of {place}")
        if self._etags.are_md5 is False and not self._confirms_sums and not self._is_warned:
            self._is_warned = True
            logger.warning(
                "the object store confirms neither CRC-32 nor MD5: what is damaged on its way to "
                "it is noticed by the check of the archive alone"
            )


class Arrival:
    """A body that comes from the store, held against what the store says of it."""

    def __init__(self, answer: Message, etags: ETags, place: str) -> None:
        self._place = place
        # Of an object that was uploaded in parts it is that of their sums.
        said = answer.get(SUM_HEADER, "-")
        self._said = None if "-" in said else said
        self._crc = 0
        self._etag = answer.get("ETag", "").strip('"')
        hashes = etags.are_md5 and self._said is None and _MD5.fullmatch(self._etag)
        self._digest = hashlib.md5(usedforsecurity=False) if hashes else None

    def take(self, chunk: bytes) -> None:
        """Counts the next bytes."""
        if self._said is not None:
            self._crc = crc32(chunk, self._crc)
        elif self._digest is not None:
            self._digest.update(chunk)

    def end(self) -> None:
        """Raises DamagedOnItsWay where it is not what the store has."""
        is_right = self._said is None or self._said == _encoded(self._crc)
        if not is_right or (self._digest and self._digest.hexdigest() != self._etag):
            raise DamagedOnItsWay(self._place)


class Transfer:
    """A body on its way, hashed where that is needed."""

    def __init__(
        self, body: bytes | Iterable[bytes], headers: dict[str, str], *, hashes: bool
    ) -> None:
        #: They go with it.
        self.headers = headers
        #: The MD5 of what was sent, once all of it was.
        self.digest: Any = hashlib.md5(usedforsecurity=False) if hashes else None
        self.body = self._hashed(body) if hashes else body

    def _hashed(self, body: bytes | Iterable[bytes]) -> bytes | Iterable[bytes]:
        if isinstance(body, bytes):
            self.digest.update(body)
            return body
        return self._passing(body)

    def _passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.digest.update(chunk)
            yield chunk
