"""The verbs of the object store."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import partial
from http.client import HTTPResponse
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import obstore
import urllib3
from minio import Minio
from minio.credentials.credentials import Credentials
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.signer import presign_v4
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout

from services.storage.pool import ConnectionFailed, HttpPool

if TYPE_CHECKING:
    from obstore.store import S3Credential

MIB = 1024 * 1024
#: Objects above this are streamed, never read as a whole ahead of their turn.
SMALL_OBJECT_BYTES = 8 * MIB
CHUNK_BYTES = MIB
#: Threads of a process that read small objects.
READ_THREADS = 16
#: A thread reads that many bytes, or objects, before it hands them over: what each hand-over
#: costs would weigh on small images.
BATCH_BYTES = 256 * 1024
BATCH_OBJECTS = 16
CONNECT_TIMEOUT = 3.0
#: Of control calls and small reads.
CALL_TIMEOUT = 20.0
#: Between two pieces of a large body.
BODY_TIMEOUT = 60.0
#: Servers may assemble the parts of a large archive before they answer.
COMPLETE_TIMEOUT = 300.0
#: Our own presigned calls are made at once.
CALL_EXPIRES = timedelta(minutes=15)
#: Waits in seconds before a read or an idempotent call is tried again.
RETRY_WAITS = (0.1, 0.4)

ALWAYS_TRANSIENT = frozenset({"SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout"})
CREDENTIALS_ADVICE = "check CARTOUCHE_S3_ACCESS_KEY and CARTOUCHE_S3_SECRET_KEY"
ADVICE = {
    "AccessDenied": "allow these credentials the action on the bucket",
    "InvalidAccessKeyId": CREDENTIALS_ADVICE,
    "SignatureDoesNotMatch": CREDENTIALS_ADVICE,
    "AuthorizationHeaderMalformed": "check CARTOUCHE_S3_REGION",
    "PermanentRedirect": "check CARTOUCHE_S3_REGION and CARTOUCHE_S3_ENDPOINT",
    "RequestTimeTooSkewed": "set the clocks of this machine and of the store",
    "NoSuchBucket": "create the bucket, or check CARTOUCHE_S3_IMAGES_BUCKET and _EXPORTS_BUCKET",
    "EntityTooSmall": "every part but the last needs at least 5 MiB",
    "EntityTooLarge": "a part holds at most 5 GiB",
    "InvalidPart": "upload the missing or changed part again",
    "XMinioInvalidObjectName": "choose a key without empty, '.' or '..' segments",
}

T = TypeVar("T")


class StorageError(Exception):
    """Base of what the object store may raise."""


class ObjectNotFound(StorageError):
    """The bucket has no object of that key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the object store has no object {key!r}")
        self.key = key


class UploadNotFound(StorageError):
    """The store does not know the multipart upload: completed, aborted or forgotten."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"the object store does not know the multipart upload {upload_id!r}")
        self.upload_id = upload_id


class StorageUnavailable(StorageError):
    """The store is away or overloaded for the moment: try again later."""


class StorageRefused(StorageError):
    """The store refuses, and will refuse again: the message says what to do.

    `code` is the S3 error code, such as `AccessDenied`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class StorageConfig:
    """Where the store is and who we are there. Endpoints are `http(s)://host[:port]`.

    Links are signed with credentials of their own, which should only read the exports
    bucket: every link shows its access key.
    """

    endpoint: str
    public_endpoint: str
    region: str
    access_key: str
    secret_key: str
    signing_access_key: str
    signing_secret_key: str
    images_bucket: str
    exports_bucket: str

    def __post_init__(self) -> None:
        """Raises ValueError for an endpoint that is not one."""
        for setting, endpoint in (
            ("CARTOUCHE_S3_ENDPOINT", self.endpoint),
            ("CARTOUCHE_S3_PUBLIC_ENDPOINT", self.public_endpoint),
        ):
            address = urlsplit(endpoint)
            if (
                address.scheme not in ("http", "https")
                or not address.netloc
                or address.path not in ("", "/")
                or address.query
            ):
                raise ValueError(
                    f"{setting} is {endpoint!r}: give http:// or https://, a host, "
                    "and a port if it is not the usual one, without a path"
                )
        if not self.region:
            raise ValueError("CARTOUCHE_S3_REGION is empty: give the region, us-east-1 for MinIO")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store knows of an object. `etag` is empty where the server keeps none."""

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


class ObjectStore:
    """The two buckets. Safe for threads. The clients are made at first use, and do not
    survive a fork: fork before it."""

    def __init__(self, config: StorageConfig) -> None:
        self.config = config
        self._made: _Clients | None = None
        self._lock = threading.Lock()

    @property
    def images_bucket(self) -> str:
        """The bucket of the image files."""
        return self.config.images_bucket

    @property
    def exports_bucket(self) -> str:
        """The bucket of archives, and of what their building stages."""
        return self.config.exports_bucket

    @property
    def _clients(self) -> "_Clients":
        made = self._made
        if made is None:
            with self._lock:
                made = self._made = self._made or _Clients(self.config)
        return made

    def close(self) -> None:
        """Closes idle connections and ends the reading threads; a later call makes new ones."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    # Buckets

    def ensure_buckets(self) -> None:
        """Creates the buckets that are missing.

        Raises StorageUnavailable or StorageRefused.
        """
        control = self._clients.control
        for bucket in (self.images_bucket, self.exports_bucket):
            with _sdk_errors(bucket):
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
            with _sdk_errors(bucket):
                exists = self._clients.control.bucket_exists(bucket)
            if not exists:
                raise _failure(404, "NoSuchBucket", "no such bucket", bucket)

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
        return _retried(
            lambda: (
                self._put(bucket, key, data, len(data), content_type, {}).get("ETag", "").strip('"')
            )
        )

    def put_stream(
        self,
        bucket: str,
        key: str,
        length: int,
        chunks: Iterable[bytes],
        content_type: str = "application/octet-stream",
    ) -> str:
        """Stores an object of exactly `length` bytes in one call; returns its ETag.

        What `chunks` raises comes out unchanged, and nothing is stored then; so it is,
        with ValueError, when their length differs. Never tried twice.
        """
        return self._put(bucket, key, chunks, length, content_type, {}).get("ETag", "").strip('"')

    def get(self, bucket: str, key: str) -> bytes:
        """The content of a small object.

        Raises ObjectNotFound, StorageUnavailable after short retries, or StorageRefused.
        """
        if not _plain(key):
            return _retried(lambda: b"".join(self.stream(bucket, key)))
        with _reader_errors(bucket, key):
            return bytes(obstore.get(self._clients.reader(bucket), key).bytes())

    def stream(self, bucket: str, key: str, chunk_size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The content of an object in chunks of `chunk_size` bytes, the last one shorter.

        Raises ObjectNotFound, StorageUnavailable (also when the content breaks off) or
        StorageRefused, at the first or a later chunk.
        """
        with self._exchange("GET", bucket, key) as response:
            remaining = int(response.headers["Content-Length"])
            while remaining:
                chunk = _read(response, min(chunk_size, remaining))
                remaining -= len(chunk)
                yield chunk
            response.read()

    def read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer where the object ends before.

        Raises ObjectNotFound, StorageUnavailable after short retries, or StorageRefused.
        """
        if length <= 0:
            return b""
        return _retried(lambda: self._read_range(bucket, key, offset, length))

    def _read_range(self, bucket: str, key: str, offset: int, length: int) -> bytes:
        wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            with self._exchange("GET", bucket, key, headers=wanted) as response:
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

    def read_many(
        self,
        bucket: str,
        items: Iterable[tuple[str, int]],
        concurrency: int = READ_THREADS,
        window_bytes: int = 32 * MIB,
    ) -> Iterator[Iterator[bytes]]:
        """The contents of many objects, in the order of `items` (key and size in bytes).

        Each object comes as an iterator over its chunks, to be used before the next one
        is taken. Small objects are read ahead, `concurrency` at a time and at most
        `window_bytes` in memory; those above SMALL_OBJECT_BYTES stream when their turn
        comes. Raises what `get` and `stream` raise, at the object that it concerns.
        """
        threads = self._clients.threads
        batches = _batches(items)
        ahead: deque[tuple[_Batch, Future[list[bytes | StorageError]] | None]] = deque()
        held = 0
        batch = next(batches, None)
        try:
            while batch is not None or ahead:
                while (
                    batch is not None
                    and len(ahead) < concurrency
                    and (not ahead or held + batch.size <= window_bytes)
                ):
                    reading = None
                    if batch.size <= SMALL_OBJECT_BYTES:
                        reading = threads.submit(self._read_batch, bucket, batch.keys)
                        held += batch.size
                    ahead.append((batch, reading))
                    batch = next(batches, None)
                current, reading = ahead.popleft()
                if reading is None:
                    yield self.stream(bucket, current.keys[0])
                    continue
                for content in reading.result():
                    if isinstance(content, StorageError):
                        raise content
                    yield iter((content,))
                held -= current.size
        finally:
            for _, reading in ahead:
                if reading is not None:
                    reading.cancel()

    def _read_batch(self, bucket: str, keys: Iterable[str]) -> list[bytes | StorageError]:
        """The contents of objects, up to the first that cannot be read, and why."""
        found: list[bytes | StorageError] = []
        try:
            for key in keys:
                found.append(self.get(bucket, key))
        except StorageError as error:
            found.append(error)
        return found

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """What the store knows of an object, None where it has none.

        Raises StorageUnavailable or StorageRefused.
        """
        try:
            with _sdk_errors(bucket, key):
                found = self._clients.control.stat_object(bucket, key)
        except ObjectNotFound:
            return None
        return _info(key, found.size, found.etag, found.last_modified)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key begins with `prefix`.

        Raises StorageUnavailable or StorageRefused.
        """
        with _sdk_errors(bucket):
            for found in self._clients.control.list_objects(bucket, prefix, recursive=True):
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
        with _sdk_errors(bucket, key):
            self._clients.control.remove_object(bucket, key)

    def delete_prefix(self, bucket: str, prefix: str) -> int:
        """Deletes every object whose key begins with `prefix`; returns how many.

        Raises StorageUnavailable or StorageRefused.
        """
        if not prefix:
            raise ValueError("an empty prefix would delete the whole bucket")
        count = 0

        def found() -> Iterator[DeleteObject]:
            nonlocal count
            for info in self.list(bucket, prefix):
                count += 1
                yield DeleteObject(info.key)

        with _sdk_errors(bucket):
            for error in self._clients.control.remove_objects(bucket, found()):
                raise _failure(400, error.code, error.message or "", bucket, error.name or "")
        return count

    # Multipart uploads to the exports bucket

    def create_upload(self, key: str) -> str:
        """Begins a multipart upload; returns its id.

        Raises StorageUnavailable or StorageRefused.
        """
        _, content = self._call(
            "POST", key, {"uploads": ""}, headers={"Content-Type": "application/zip"}
        )
        return _text(_parse(content), "UploadId")

    def upload_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        length: int,
        chunks: bytes | Iterable[bytes],
    ) -> str:
        """Stores part `number` (from 1) of exactly `length` bytes; returns its ETag.

        The same number again replaces the part. What `chunks` raises comes out unchanged,
        and no part is stored then; so it is, with ValueError, when their length differs.
        Raises UploadNotFound, StorageUnavailable (never tried twice) or StorageRefused.
        """
        query = {"partNumber": str(number), "uploadId": upload_id}
        bucket = self.exports_bucket
        return self._put(bucket, key, chunks, length, None, query).get("ETag", "").strip('"')

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[tuple[int, str]]) -> None:
        """Makes the object of its parts: number and ETag of each.

        Raises UploadNotFound (also when an earlier call succeeded and its answer was
        lost), StorageUnavailable or StorageRefused (EntityTooSmall, InvalidPart).
        """
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(parts)
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        _, content = self._call(
            "POST", key, {"uploadId": upload_id}, body, read_timeout=COMPLETE_TIMEOUT
        )
        # S3 may begin its answer with 200 before it knows that the assembly failed.
        answer = _parse(content)
        if _tag(answer) == "Error":
            code, message = _text(answer, "Code"), _text(answer, "Message")
            status = 500 if code == "InternalError" else 400
            raise _failure(status, code, message, self.exports_bucket, key, upload_id)

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drops an upload and its parts; one that is absent is fine.

        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        try:
            _retried(lambda: self._call("DELETE", key, {"uploadId": upload_id}))
        except UploadNotFound:
            return

    def list_uploads(self, prefix: str = "") -> Iterator[UploadInfo]:
        """The unfinished uploads whose key begins with `prefix`.

        MinIO takes a prefix for a whole key, and without one lists only the uploads begun
        since it started: after its restart an upload is found by its exact key alone.
        Raises StorageUnavailable after short retries, or StorageRefused.
        """
        seen: set[str] = set()
        for asked in dict.fromkeys((prefix, "")):
            markers: dict[str, str] | None = {}
            while markers is not None:
                try:
                    uploads, markers = _retried(partial(self._uploads_page, asked, markers))
                except UploadNotFound:
                    # rclone's answer where no upload was begun since it started.
                    break
                for upload in uploads:
                    if upload.key.startswith(prefix) and upload.upload_id not in seen:
                        seen.add(upload.upload_id)
                        yield upload

    def _uploads_page(
        self, prefix: str, markers: Mapping[str, str]
    ) -> tuple[tuple[UploadInfo, ...], dict[str, str] | None]:
        """Some uploads, and the markers that ask for the next page."""
        query = {"uploads": "", "encoding-type": "url", **markers}
        if prefix:
            query["prefix"] = prefix
        bucket = self.exports_bucket
        with self._exchange_url("GET", self._bucket_url(bucket, query), bucket) as response:
            content = response.read()
        answer = _parse(content)
        encoded = _text(answer, "EncodingType") == "url"
        uploads = tuple(
            UploadInfo(
                key=unquote_plus(_text(row, "Key")) if encoded else _text(row, "Key"),
                upload_id=_text(row, "UploadId"),
                started_at=datetime.fromisoformat(_text(row, "Initiated")),
            )
            for row in answer
            if _tag(row) == "Upload"
        )
        if _text(answer, "IsTruncated") != "true":
            return uploads, None
        key_marker = _text(answer, "NextKeyMarker")
        return uploads, {
            "key-marker": unquote_plus(key_marker) if encoded else key_marker,
            "upload-id-marker": _text(answer, "NextUploadIdMarker"),
        }

    # Links

    def sign_download(self, key: str, file_name: str, expires: timedelta) -> str:
        """A link that downloads an archive as `file_name` without further credentials.

        Local arithmetic, no call. `expires` is 1 second to 7 days (ValueError otherwise).
        """
        return self._clients.signer.get_presigned_url(
            "GET",
            self.exports_bucket,
            key,
            expires,
            response_headers={
                "response-content-disposition": _attachment(file_name),
                "response-content-type": "application/zip",
            },
        )

    # Presigned calls

    def _call(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        read_timeout: float = CALL_TIMEOUT,
    ) -> tuple[Message, bytes]:
        """One call on a key of the exports bucket: headers and content of the answer."""
        with self._exchange(
            method,
            self.exports_bucket,
            key,
            query,
            headers=headers,
            body=body,
            length=len(body),
            read_timeout=read_timeout,
        ) as response:
            return response.headers, response.read()

    def _put(
        self,
        bucket: str,
        key: str,
        body: bytes | Iterable[bytes],
        length: int,
        content_type: str | None,
        query: Mapping[str, str],
    ) -> Message:
        headers = {"Content-Type": content_type} if content_type else {}
        with self._exchange(
            "PUT", bucket, key, query, headers=headers, body=body, length=length
        ) as response:
            response.read()
            return response.headers

    @contextmanager
    def _exchange(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        length: int = 0,
        read_timeout: float = BODY_TIMEOUT,
    ) -> Iterator[HTTPResponse]:
        """A presigned call on an object; gives successful answers only."""
        try:
            url = self._clients.control.get_presigned_url(
                method, bucket, key, CALL_EXPIRES, extra_query_params=dict(query or {})
            )
        except ValueError as error:
            raise StorageRefused("InvalidKey", f"{bucket}/{key}: {error}") from error
        upload_id = (query or {}).get("uploadId", "")
        with self._exchange_url(
            method,
            url,
            bucket,
            key,
            upload_id,
            headers=headers,
            body=body,
            length=length,
            read_timeout=read_timeout,
        ) as response:
            yield response

    @contextmanager
    def _exchange_url(
        self,
        method: str,
        url: str,
        bucket: str,
        key: str = "",
        upload_id: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] = b"",
        length: int = 0,
        read_timeout: float = CALL_TIMEOUT,
    ) -> Iterator[HTTPResponse]:
        try:
            with self._clients.pool.exchange(
                method,
                url,
                headers=headers,
                body=body,
                length=length,
                read_timeout=read_timeout,
            ) as response:
                if response.status >= 300:
                    raise _answered(response, response.read(), bucket, key, upload_id)
                yield response
        except ConnectionFailed as error:
            raise StorageUnavailable(f"the object store is not reachable: {error}") from error

    def _bucket_url(self, bucket: str, query: Mapping[str, str]) -> str:
        """A presigned call on a bucket itself, which `get_presigned_url` does not make."""
        config = self.config
        any_key = self._clients.control.get_presigned_url("GET", bucket, "k", CALL_EXPIRES)
        address = urlsplit(any_key)
        signed = presign_v4(
            method="GET",
            url=address._replace(
                path=address.path.removesuffix("k"),
                query=urlencode(sorted(query.items()), quote_via=quote, safe=""),
            ),
            region=config.region,
            credentials=Credentials(config.access_key, config.secret_key),
            date=datetime.now(UTC),
            expires=int(CALL_EXPIRES.total_seconds()),
        )
        return urlunsplit(signed)


@dataclass(slots=True)
class _Batch:
    """Objects that one thread reads in a row; one that is large is alone."""

    keys: list[str]
    size: int


def _batches(items: Iterable[tuple[str, int]]) -> Iterator[_Batch]:
    """Cuts a list of objects into batches, in order."""
    batch = _Batch([], 0)
    for key, size in items:
        if batch.keys and (batch.size + size > BATCH_BYTES or len(batch.keys) == BATCH_OBJECTS):
            yield batch
            batch = _Batch([], 0)
        batch.keys.append(key)
        batch.size += size
    if batch.keys:
        yield batch


class _Clients:
    """The clients of one process."""

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        endpoint, public = urlsplit(config.endpoint), urlsplit(config.public_endpoint)
        self._http = urllib3.PoolManager(
            maxsize=READ_THREADS,
            timeout=Timeout(connect=CONNECT_TIMEOUT, read=CALL_TIMEOUT),
            retries=Retry(
                total=len(RETRY_WAITS),
                backoff_factor=RETRY_WAITS[0],
                status_forcelist=(500, 502, 503, 504),
                allowed_methods=None,
                raise_on_status=False,
                redirect=0,
            ),
        )
        self.control = Minio(
            endpoint.netloc,
            config.access_key,
            config.secret_key,
            secure=endpoint.scheme == "https",
            region=config.region,
            http_client=self._http,
        )
        self.signer = Minio(
            public.netloc,
            config.signing_access_key,
            config.signing_secret_key,
            secure=public.scheme == "https",
            region=config.region,
        )
        self.pool = HttpPool(CONNECT_TIMEOUT, BODY_TIMEOUT)
        self.threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="storage-read")
        self._readers = {
            bucket: self._new_reader(bucket)
            for bucket in (config.images_bucket, config.exports_bucket)
        }

    def reader(self, bucket: str) -> S3Store:
        return self._readers[bucket]

    def close(self) -> None:
        self.threads.shutdown(cancel_futures=True)
        self.pool.close()
        self._http.clear()

    def _credentials(self) -> "S3Credential":
        return {
            "access_key_id": self._config.access_key,
            "secret_access_key": self._config.secret_key,
            "expires_at": None,
        }

    def _new_reader(self, bucket: str) -> S3Store:
        config = self._config
        # obstore takes whatever is missing here from AWS_* and proxy variables of the
        # environment, which must not decide where Cartouche reads.
        return S3Store(
            bucket,
            aws_endpoint_url_s3=config.endpoint,
            region=config.region,
            virtual_hosted_style_request=False,
            skip_signature=False,
            credential_provider=self._credentials,
            client_options={
                "allow_http": config.endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT),
                "timeout": timedelta(seconds=CALL_TIMEOUT),
                "proxy_url": config.endpoint,
                "proxy_excludes": urlsplit(config.endpoint).hostname or "",
            },
            retry_config={
                "max_retries": len(RETRY_WAITS),
                "backoff": {
                    "init_backoff": timedelta(seconds=RETRY_WAITS[0]),
                    "max_backoff": timedelta(seconds=RETRY_WAITS[-1]),
                    "base": 2,
                },
                "retry_timeout": timedelta(seconds=2 * CALL_TIMEOUT),
            },
        )


def _plain(key: str) -> bool:
    """Whether obstore takes the key as it stands."""
    return key.isprintable() and all(part not in ("", ".", "..") for part in key.split("/"))


def _retried(call: Callable[[], T]) -> T:
    for wait in RETRY_WAITS:
        try:
            return call()
        except StorageUnavailable:
            time.sleep(wait)
    return call()


def _read(response: HTTPResponse, size: int) -> bytes:
    chunk = response.read(size)
    if not chunk:
        raise StorageUnavailable("the object store closed in the middle of an object")
    return chunk


def _attachment(file_name: str) -> str:
    """Content-Disposition with the name in UTF-8 and a plain one for old clients (RFC 6266)."""
    plain = "".join(
        c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in file_name
    )
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


def _info(key: str, size: int | None, etag: str | None, modified_at: datetime | None) -> ObjectInfo:
    return ObjectInfo(key, size or 0, (etag or "").strip('"'), modified_at or datetime.now(UTC))


# Errors


def _failure(
    status: int,
    code: str,
    message: str,
    bucket: str,
    key: str = "",
    upload_id: str = "",
) -> StorageError:
    """The error that an answer of the store stands for."""
    if code == "NoSuchUpload":
        return UploadNotFound(upload_id)
    if code == "NoSuchKey" or (status == 404 and code == ""):
        return ObjectNotFound(key)
    place = f"{bucket}/{key}" if key else bucket
    if status >= 500 or status in (408, 429) or code in ALWAYS_TRANSIENT:
        return StorageUnavailable(f"the object store failed on {place}: {status} {code} {message}")
    if code == "" and status == 403:
        code = "AccessDenied"
    advice = ADVICE.get(code, "see the log of the store")
    return StorageRefused(
        code, f"the object store refuses {place}: {status} {code} {message}: {advice}"
    )


def _answered(
    response: HTTPResponse,
    content: bytes,
    bucket: str,
    key: str = "",
    upload_id: str = "",
) -> StorageError:
    try:
        answer = ElementTree.fromstring(content.strip())
    except ElementTree.ParseError:
        return _failure(response.status, "", response.reason, bucket, key, upload_id)
    code, message = _text(answer, "Code"), _text(answer, "Message")
    return _failure(response.status, code, message, bucket, key, upload_id)


@contextmanager
def _sdk_errors(bucket: str, key: str = "") -> Iterator[None]:
    """Turns the errors of the MinIO SDK into ours."""
    try:
        yield
    except S3Error as error:
        status = error.response.status if error.response is not None else 400
        raise _failure(status, error.code or "", error.message or "", bucket, key) from error
    except ServerError as error:
        raise _failure(error.status_code, "", str(error), bucket, key) from error
    except (HTTPError, OSError) as error:
        raise StorageUnavailable(f"the object store is not reachable: {error}") from error
    except InvalidResponseError as error:
        # rclone sends its errors as text/xml, which the SDK does not read.
        _raise_told(error, 502, bucket, key)
    except ValueError as error:
        raise StorageRefused("InvalidKey", f"{bucket}/{key}: {error}") from error


@contextmanager
def _reader_errors(bucket: str, key: str) -> Iterator[None]:
    """Turns the errors of obstore into ours."""
    try:
        yield
    except FileNotFoundError as error:
        _raise_told(error, 404, bucket, key)
    except (PermissionDeniedError, UnauthenticatedError) as error:
        _raise_told(error, 403, bucket, key)
    except BaseError as error:
        _raise_told(error, 503, bucket, key)


def _raise_told(error: Exception, status: int, bucket: str, key: str) -> NoReturn:
    """Raises ours for an error of a client that tells status and code in its text only."""
    text = str(error)
    if found := re.search(r"(?:status|Response) code: (\d{3})", text):
        status = int(found[1])
    code = re.search(r"<Code>(\w+)</Code>", text)
    message = re.search(r"<Message>([^<]*)</Message>", text)
    raise _failure(
        status,
        code[1] if code else "",
        message[1] if message else text.split("\n")[0],
        bucket,
        key,
    ) from error


# XML, with and without the S3 namespace


def _parse(content: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content.strip())
    except ElementTree.ParseError as error:
        raise StorageUnavailable(
            f"the object store gave an answer that is no XML: {error}"
        ) from error


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    """The text of the child of that name, empty where there is none."""
    return next((child.text or "" for child in element if _tag(child) == name), "")
