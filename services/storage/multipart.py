"""Multipart uploads: an object made of parts that are stored one by one, in any order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote, unquote_plus
from xml.sax.saxutils import escape

from services.storage.answers import parse, tag, text
from services.storage.errors import (
    CopyRefused,
    DamagedOnItsWay,
    ObjectNotFound,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
    failure,
)
from services.storage.presigned import PresignedCalls
from services.storage.retries import retried

#: Servers may assemble the parts of a large archive before they answer.
COMPLETE_TIMEOUT = 300.0
#: And copy a part before they do.
COPY_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Extract:
    """Some bytes of an object, as long as it is the one with this ETag."""

    key: str
    etag: str
    offset: int
    length: int


class MultipartUploads:
    """The multipart uploads to one bucket."""

    def __init__(
        self, bucket: str, calls: PresignedCalls, encryption: Mapping[str, str] | None = None
    ) -> None:
        """`encryption`: headers that say what archives are to be encrypted with."""
        self._bucket = bucket
        self._calls = calls
        self._encryption = encryption or {}

    def create(self, key: str) -> str:
        """Begins an upload of an archive; returns its id."""
        content = self._calls.call(
            "POST",
            self._bucket,
            key,
            {"uploads": ""},
            headers={"Content-Type": "application/zip", **self._encryption},
        )
        return text(parse(content), "UploadId")

    def put_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        length: int,
        crc32: int | None,
        chunks: bytes | Iterable[bytes],
    ) -> str:
        """Stores part `number`; returns its ETag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        try:
            return self._calls.put(self._bucket, key, chunks, length, crc32, query=query)
        except DamagedOnItsWay as error:
            # The store has it, and not every store lets a part be replaced.
            self.abort(key, upload_id)
            raise UploadNotFound(upload_id) from error

    def copy_part(self, key: str, upload_id: str, number: int, source: Extract) -> str:
        """Stores part `number` out of another object of the bucket; returns its ETag."""
        headers = {
            "x-amz-copy-source": f"/{self._bucket}/{quote(source.key)}",
            "x-amz-copy-source-if-match": f'"{source.etag}"',
            "x-amz-copy-source-range": f"bytes={source.offset}-{source.offset + source.length - 1}",
        }
        query = {"partNumber": str(number), "uploadId": upload_id}
        try:
            content = self._calls.call(
                "PUT", self._bucket, key, query, headers=headers, read_timeout=COPY_TIMEOUT
            )
            # S3 may begin its answer with 200 before it knows that the copy failed.
            answer = parse(content or b"<None/>")
            if tag(answer) == "Error":
                code, message = text(answer, "Code"), text(answer, "Message")
                status = 500 if code == "InternalError" else 400
                raise failure(status, code, message, self._bucket, key, upload_id)
        except (ObjectNotFound, StorageRefused) as error:
            raise CopyRefused(str(error)) from error
        except StorageUnavailable as error:
            if error.code == "NotImplemented":
                raise CopyRefused(str(error)) from error
            raise
        etag = text(answer, "ETag").strip('"')
        if tag(answer) != "CopyPartResult" or not etag:
            # It took the call for a part without a byte.
            raise CopyRefused("the object store does not know how to copy a part")
        return etag

    def complete(self, key: str, upload_id: str, parts: Iterable[tuple[int, str]]) -> None:
        """Makes the object of its parts."""
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(parts)
        )
        content = self._calls.call(
            "POST",
            self._bucket,
            key,
            {"uploadId": upload_id},
            body=f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode(),
            read_timeout=COMPLETE_TIMEOUT,
        )
        # S3 may begin its answer with 200 before it knows that the assembly failed.
        answer = parse(content)
        if tag(answer) == "Error":
            code, message = text(answer, "Code"), text(answer, "Message")
            status = 500 if code == "InternalError" else 400
            raise failure(status, code, message, self._bucket, key, upload_id)

    def abort(self, key: str, upload_id: str) -> None:
        """Drops an upload and its parts."""
        query = {"uploadId": upload_id}
        try:
            retried(lambda: self._calls.call("DELETE", self._bucket, key, query))
        except UploadNotFound:
            return

    def unfinished(self, prefix: str) -> Iterator[UploadInfo]:
        """The unfinished uploads whose key begins with `prefix`."""
        seen: set[str] = set()
        # MinIO takes a prefix for a whole key.
        for asked in dict.fromkeys((prefix, "")):
            markers: dict[str, str] | None = {}
            while markers is not None:
                try:
                    uploads, markers = retried(partial(self._page, asked, markers))
                except UploadNotFound:
                    # rclone's answer where no upload was begun since it started.
                    break
                for upload in uploads:
                    if upload.key.startswith(prefix) and upload.upload_id not in seen:
                        seen.add(upload.upload_id)
                        yield upload

    def _page(
        self, prefix: str, markers: Mapping[str, str]
    ) -> tuple[tuple[UploadInfo, ...], dict[str, str] | None]:
        """Some uploads, and the markers that ask for the next page."""
        query = {"uploads": "", "encoding-type": "url", **markers}
        if prefix:
            query["prefix"] = prefix
        answer = parse(self._calls.call_bucket(self._bucket, query))
        encoded = text(answer, "EncodingType") == "url"
        uploads = tuple(
            UploadInfo(
                key=unquote_plus(text(row, "Key")) if encoded else text(row, "Key"),
                upload_id=text(row, "UploadId"),
                started_at=datetime.fromisoformat(text(row, "Initiated")),
            )
            for row in answer
            if tag(row) == "Upload"
        )
        if text(answer, "IsTruncated") != "true":
            return uploads, None
        key_marker = text(answer, "NextKeyMarker")
        return uploads, {
            "key-marker": unquote_plus(key_marker) if encoded else key_marker,
            "upload-id-marker": text(answer, "NextUploadIdMarker"),
        }
