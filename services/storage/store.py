"""The verbs of the object store: what callers see."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO

from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from services.storage.clients import ClientsAtFirstUse
from services.storage.config import StorageConfig
from services.storage.credentials import ends_at
from services.storage.errors import (
    CopyRefused,
    ObjectNotFound,
    StorageRefused,
    failure,
    sdk_errors,
)
from services.storage.links import download_link
from services.storage.multipart import Extract, MultipartUploads, UploadInfo
from services.storage.observed import observed
from services.storage.pages import allow_pages, try_page
from services.storage.presigned import PresignedCalls
from services.storage.read_ahead import WINDOW_BYTES, ReadAhead
from services.storage.reading import CHUNK_BYTES, ObjectReader
from services.storage.retries import retried
from services.storage.side_by_side import WriteBehind, side_by_side
from services.storage.sums import crc32


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of an object. `etag` is empty where the server keeps none."""

    key: str
    size: int
    etag: str
    modified_at: datetime


#: Where the store is tried out. No organization has such an id.
PROBES = "probes/"
_PROBE = b"probe"
_PROBE_LINK = timedelta(minutes=5)


class ObjectStore:
    """The two buckets. Safe for threads. The clients are made at first use, and do not
    survive a fork: fork before it."""

    def __init__(self, config: StorageConfig) -> None:
        self.config = config
        self._clients = ClientsAtFirstUse(config)
        self._calls = PresignedCalls(config, self._clients)
        self._reader = ObjectReader(self._clients, self._calls)
        self._ahead = ReadAhead(self._clients, self._reader)
        self._copies_parts: bool | None = None
        self._uploads = MultipartUploads(
            config.exports_bucket, self._calls, config.encryption_headers
        )

    @property
    def images_bucket(self) -> str:
        """The bucket of the image files."""
        return self.config.images_bucket

    @property
    def exports_bucket(self) -> str:
        """The bucket of archives, and of what their building stages."""
        return self.config.exports_bucket

    def close(self) -> None:
        """Closes idle connections and ends the reading threads; a later call makes new ones."""
        self._clients.close()

    # Buckets

    def ensure_buckets(self) -> None:
        """Creates the buckets that are missing.

        Raises StorageUnavailable or StorageRefused.
        """
        control = self._clients().control
        for bucket in (self.images_bucket, self.exports_bucket):
            with sdk_errors(bucket):
                if control.bucket_exists(bucket):
                    continue
                try:
                    control.make_bucket(bucket)
                except S3Error as error:
                    if error.code not in (
                        "BucketAlreadyOwnedByYou",
                        "BucketAlreadyExists",
                    ):
                        raise

    def ready(self) -> None:
        """Returns when the store answers and has the buckets.

        Raises StorageUnavailable, or StorageRefused for wrong credentials or no bucket.
        """
        for bucket in (self.images_bucket, self.exports_bucket):
            with observed("head_bucket"), sdk_errors(bucket):
                exists = self._clients().control.bucket_exists(bucket)
            if not exists:
                raise failure(404, "NoSuchBucket", "no such bucket", bucket)

    def try_out(self, *more: str) -> None:
        """Stores, reads and deletes a small object, in the exports bucket and in `more`, and sees
        to it that both buckets are there.

        Raises StorageUnavailable, or StorageRefused, which says what is wrong more exactly than
        `ready` does: the answer to a HEAD has no code.
        """
        for bucket in (self.exports_bucket, *more):
            with self._probe(bucket) as key:
                self.get(bucket, key)
        self.ready()

    def try_links(self) -> bool:
        """Reads a small object with the keys that sign links, at the store's own address; whether
        they may write as well.

        Raises StorageUnavailable, or StorageRefused where they may not read.
        """
        signer = self._clients().tried_signer()
        with self._probe(self.exports_bucket) as key:
            with sdk_errors(self.exports_bucket, key):
                signer.get_object(self.exports_bucket, key).close()
            try:
                with sdk_errors(self.exports_bucket, key):
                    signer.put_object(self.exports_bucket, key, BytesIO(_PROBE), len(_PROBE))
            except StorageRefused:
                return False
        return True

    def allow_pages(self, origins: Sequence[str]) -> None:
        """Lets pages of these origins read archives by their links: the console's look inside.

        Raises PagesRefused where the bucket is left as it is.
        """
        with observed("cors"):
            allow_pages(self._calls, self.exports_bucket, origins)

    def try_page(self, origin: str) -> None:
        """Reads a small object by a link, at the address of links, as a page of this origin does.

        Raises PagesRefused where a browser would keep it from the page, StorageUnavailable or
        StorageRefused.
        """
        with self._probe(self.exports_bucket) as key:
            link = self.sign_download(key, "probe", _PROBE_LINK)
            try_page(self._clients().pool, link, origin)

    @contextmanager
    def _probe(self, bucket: str) -> Iterator[str]:
        """The key of a small object, which goes again."""
        key = f"{PROBES}{uuid.uuid4()}"
        self.put(bucket, key, _PROBE)
        try:
            yield key
        finally:
            self.delete(bucket, key)

    # Whole objects

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
        content_type: str = "application/octet-stream",
    ) -> str:
        """Stores an object, replacing one of that key; returns its ETag.

        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        with observed("put"):
            crc = crc32(data)
            return retried(lambda: self._calls.put(bucket, key, data, len(data), crc, content_type))

    def put_pieces(
        self,
        bucket: str,
        key: str,
        pieces: Sequence[bytes],
        content_type: str = "application/octet-stream",
    ) -> str:
        """Stores an object that lies in memory in pieces, without joining them; returns its ETag.

        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        with observed("put"):
            length, crc = sum(map(len, pieces)), _sum_of(pieces)
            return retried(lambda: self._calls.put(bucket, key, pieces, length, crc, content_type))

    def put_stream(
        self,
        bucket: str,
        key: str,
        length: int,
        chunks: Iterable[bytes],
        crc: int,
        content_type: str = "application/octet-stream",
    ) -> str:
        """Stores an object of exactly `length` bytes with this CRC-32 in one call; returns its
        ETag.

        What `chunks` raises comes out unchanged, and nothing is stored then; so it is,
        with ValueError, when their length differs. Raises StorageUnavailable (also when the
        bytes were damaged on their way; never tried twice) or StorageRefused.
        """
        with observed("put"):
            return self._calls.put(bucket, key, chunks, length, crc, content_type)

    def get(self, bucket: str, key: str) -> bytes:
        """The content of a small object.

        Raises ObjectNotFound, StorageUnavailable after short retries, or StorageRefused.
        """
        return self._reader.get(bucket, key)

    def stream(
        self, bucket: str, key: str, chunk_size: int = CHUNK_BYTES, *, is_checked: bool = False
    ) -> Iterator[bytes]:
        """The content of an object in chunks of `chunk_size` bytes, the last one shorter.

        `is_checked`: of an object that was stored in one call, as far as the store keeps sums.

        Raises ObjectNotFound, StorageUnavailable (also when the content breaks off, or was
        damaged on its way) or StorageRefused, at the first or a later chunk.
        """
        return self._reader.stream(bucket, key, chunk_size, is_checked=is_checked)

    def read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer where the object ends before.

        Raises ObjectNotFound, StorageUnavailable after short retries, or StorageRefused.
        """
        return self._reader.read_range(bucket, key, offset, length)

    def read_ranges(
        self, bucket: str, key: str, ranges: Iterable[tuple[int, int]]
    ) -> Iterator[bytes]:
        """What `read_range` gives of each offset and length, in their order; several at once."""
        calls = (
            (partial(self.read_range, bucket, key, offset, length), length)
            for offset, length in ranges
        )
        return side_by_side(self._clients().threads, calls)

    def write_behind(self) -> WriteBehind:
        """A block in which calls are begun without waiting for the one before; its end waits for
        all of them, and raises what they raised."""
        return WriteBehind(self._clients().threads)

    def read_many(
        self,
        bucket: str,
        items: Iterable[tuple[str, int]],
        window_bytes: int = WINDOW_BYTES,
    ) -> Iterator[Iterator[bytes]]:
        """The contents of many objects, in the order of `items` (key and size in bytes).

        Each object comes as an iterator over its chunks, to be used before the next one
        is taken. Small objects are read ahead, many at a time and at most `window_bytes` in
        memory; those above 3 MiB stream when their turn comes. Raises
        what `get` and `stream` raise, at the object that it concerns.
        """
        return self._ahead.read(bucket, items, window_bytes)

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """What the store knows of an object, None where it has none.

        Raises StorageUnavailable or StorageRefused.
        """
        try:
            with observed("head"), sdk_errors(bucket, key):
                found = self._clients().control.stat_object(bucket, key)
        except ObjectNotFound:
            return None
        return _info(key, found.size, found.etag, found.last_modified)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`.

        Raises StorageUnavailable or StorageRefused.
        """
        with observed("list"), sdk_errors(bucket):
            for found in self._clients().control.list_objects(bucket, prefix, recursive=True):
                if not found.is_dir:
                    yield _info(
                        found.object_name or "",
                        found.size,
                        found.etag,
                        found.last_modified,
                    )

    def delete(self, bucket: str, key: str) -> None:
        """Deletes an object; one that is absent is fine.

        Raises StorageUnavailable or StorageRefused.
        """
        with observed("delete"), sdk_errors(bucket, key):
            self._clients().control.remove_object(bucket, key)

    def delete_prefix(self, bucket: str, prefix: str) -> int:
        """Deletes every object whose key begins with `prefix`; returns how many.

        Raises StorageUnavailable or StorageRefused.
        """
        if not prefix:
            raise ValueError("an empty prefix would delete the whole bucket")
        return self.delete_many(bucket, (info.key for info in self.list(bucket, prefix)))

    def delete_many(self, bucket: str, keys: Iterable[str]) -> int:
        """Deletes objects; those that are absent are fine. Returns how many keys there were.

        Raises StorageUnavailable or StorageRefused.
        """
        count = 0

        def named() -> Iterator[DeleteObject]:
            nonlocal count
            for key in keys:
                count += 1
                yield DeleteObject(key)

        with observed("delete_many"), sdk_errors(bucket):
            for error in self._clients().control.remove_objects(bucket, named()):
                raise failure(400, error.code, error.message or "", bucket, error.name or "")
        return count

    # Multipart uploads to the exports bucket

    def create_upload(self, key: str) -> str:
        """Begins a multipart upload; returns its id.

        Raises StorageUnavailable or StorageRefused.
        """
        with observed("create_upload"):
            return self._uploads.create(key)

    def upload_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        length: int,
        chunks: bytes | Iterable[bytes],
        crc: int | None = None,
    ) -> str:
        """Stores part `number` (from 1) of exactly `length` bytes with this CRC-32, which is
        found out where all of `chunks` is at hand; returns its ETag. Without one, what was sent is
        held against the ETag alone.

        The same number again replaces the part. What `chunks` raises comes out unchanged,
        and no part is stored then; so it is, with ValueError, when their length differs.
        Raises UploadNotFound, StorageUnavailable (never tried twice) or StorageRefused. Where the
        bytes were damaged on their way, either the store has refused them, and it is
        StorageUnavailable; or it has taken them: then the upload is aborted, and it is
        UploadNotFound.
        """
        if crc is None:
            if isinstance(chunks, bytes):
                chunks = [chunks]
            if isinstance(chunks, list):
                crc = _sum_of(chunks)
        with observed("put_part"):
            return self._uploads.put_part(key, upload_id, number, length, crc, chunks)

    def copies_parts(self) -> bool:
        """Whether `copy_part` is of use with this store, which is tried out once.

        Raises StorageUnavailable or StorageRefused.
        """
        if self._copies_parts is None:
            with self._probe(self.exports_bucket) as key:
                stat = self.stat(self.exports_bucket, key)
                source = Extract(key, stat.etag if stat else "", 0, len(_PROBE))
                copy = f"{key}-copy"
                upload_id = self.create_upload(copy)
                try:
                    self.copy_part(copy, upload_id, 1, source)
                    self._copies_parts = True
                except CopyRefused:
                    self._copies_parts = False
                finally:
                    self.abort_upload(copy, upload_id)
        return self._copies_parts

    def copy_part(self, key: str, upload_id: str, number: int, source: Extract) -> str:
        """Stores part `number` (from 1) out of another archive, inside the store; returns its
        ETag.

        Raises CopyRefused where that cannot be, UploadNotFound, or StorageUnavailable (never tried
        twice).
        """
        with observed("copy_part"):
            return self._uploads.copy_part(key, upload_id, number, source)

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[tuple[int, str]]) -> None:
        """Makes the object of its parts: number and ETag of each.

        Raises UploadNotFound (also when an earlier call succeeded and its answer was
        lost), StorageUnavailable or StorageRefused (EntityTooSmall, InvalidPart).
        """
        with observed("complete_upload"):
            self._uploads.complete(key, upload_id, parts)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drops an upload and its parts; one that is absent is fine.

        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        with observed("abort_upload"):
            self._uploads.abort(key, upload_id)

    def list_uploads(self, prefix: str = "") -> Iterator[UploadInfo]:
        """The unfinished uploads whose key begins with `prefix`.

        MinIO takes a prefix for a whole key, and without one lists only the uploads begun
        since it started: after its restart an upload is found by its exact key alone.
        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        return self._uploads.unfinished(prefix)

    # Links

    def links_end_at(self) -> float | None:
        """When links end that are signed now, whatever they ask for, in seconds since 1970: with
        the temporary credentials that sign them. None: these do not end.

        Raises StorageMisconfigured where the platform gives no credentials.
        """
        end = ends_at(self._clients().signing_credentials.retrieve())
        return None if end is None else end.timestamp()

    def sign_download(self, key: str, file_name: str, expires: timedelta) -> str:
        """A link that downloads an archive as `file_name` without further credentials.

        Local arithmetic, no call. `expires` is 1 second to 7 days (ValueError otherwise).
        """
        return download_link(self._clients().signer, self.exports_bucket, key, file_name, expires)


def _info(key: str, size: int | None, etag: str | None, modified_at: datetime | None) -> ObjectInfo:
    return ObjectInfo(key, size or 0, (etag or "").strip('"'), modified_at or datetime.now(UTC))


def _sum_of(pieces: Iterable[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = crc32(piece, crc)
    return crc
