"""Reading one object: whole, in chunks, or a range of it."""

from collections.abc import Callable, Iterator
from http.client import HTTPResponse

import obstore

from services.storage.clients import Clients
from services.storage.errors import StorageRefused, StorageUnavailable, reader_errors
from services.storage.observed import observed
from services.storage.presigned import PresignedCalls
from services.storage.retries import retried
from services.storage.sums import SUM_MODE

CHUNK_BYTES = 1024 * 1024


class ObjectReader:
    """Reads small objects with obstore, and large ones from a connection."""

    def __init__(self, clients: Callable[[], Clients], calls: PresignedCalls) -> None:
        self._clients = clients
        self._calls = calls

    def get(self, bucket: str, key: str) -> bytes:
        """The content of a small object."""
        if not _plain(key):
            return retried(lambda: b"".join(self.stream(bucket, key)))
        with observed("get"), reader_errors(bucket, key):
            return bytes(obstore.get(self._clients().reader(bucket), key).bytes())

    def stream(
        self, bucket: str, key: str, chunk_size: int = CHUNK_BYTES, *, is_checked: bool = False
    ) -> Iterator[bytes]:
        """The content of an object in chunks of `chunk_size` bytes, the last one shorter;
        `is_checked`: held against its sum."""
        headers = SUM_MODE if is_checked else {}
        with (
            observed("get"),
            self._calls.exchange("GET", bucket, key, headers=headers) as response,
        ):
            arrival = self._calls.arrival(bucket, key, response.headers) if is_checked else None
            remaining = int(response.headers["Content-Length"])
            while remaining:
                chunk = _read(response, min(chunk_size, remaining))
                remaining -= len(chunk)
                if arrival is not None:
                    arrival.take(chunk)
                    if not remaining:
                        arrival.end()
                yield chunk
            response.read()

    def read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer where the object ends before."""
        if length <= 0:
            return b""
        with observed("get_range"):
            return retried(lambda: self._read_range(bucket, key, offset, length))

    def _read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            with self._calls.exchange("GET", bucket, key, headers=wanted) as response:
                remaining = int(response.headers["Content-Length"])
                # rclone answers 200 to a range, but with the range and this header;
                # a server that knows no ranges sends the whole object.
                if response.status != 206 and "Content-Range" not in response.headers:
                    skip = min(offset, remaining)
                    remaining -= skip
                    while skip:
                        skip -= len(_read(response, min(CHUNK_BYTES, skip)))
                pieces = []
                remaining = min(remaining, length)
                while remaining:
                    pieces.append(_read(response, remaining))
                    remaining -= len(pieces[-1])
                return b"".join(pieces)
        except StorageRefused as error:
            if error.code == "InvalidRange":
                return b""
            raise


def _plain(key: str) -> bool:
    """Whether obstore takes the key as it stands."""
    return key.isprintable() and all(part not in ("", ".", "..") for part in key.split("/"))


def _read(response: HTTPResponse, size: int) -> bytes:
    chunk = response.read(size)
    if not chunk:
        raise StorageUnavailable("the object store closed in the middle of an object")
    return chunk
