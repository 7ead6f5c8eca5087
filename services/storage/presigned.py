"""Calls over plain HTTP, signed in their URLs, or in their headers where these must be signed too:
large bodies pass in pieces, and the signature does not cover them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.client import HTTPResponse
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from minio.signer import presign_v4, sign_v4_s3
from minio.time import to_amz_date

from services.storage.answers import refusal
from services.storage.clients import BODY_TIMEOUT, CALL_TIMEOUT, Clients
from services.storage.config import StorageConfig
from services.storage.errors import (
    StorageRefused,
    StorageUnavailable,
    invalid_key,
    unreachable,
)
from services.storage.pool import ConnectionFailed
from services.storage.sums import Arrival, Confirmations, ETags

#: Our own presigned calls are made at once.
CALL_EXPIRES = timedelta(minutes=15)


class PresignedCalls:
    """Presigned calls on objects and buckets. They raise StorageError for every answer that
    is no success, and are never tried twice."""

    def __init__(self, config: StorageConfig, clients: Callable[[], Clients]) -> None:
        self._config = config
        self._clients = clients
        self._etags: defaultdict[str, ETags] = defaultdict(ETags)
        #: By bucket, and whether of parts.
        self._confirmations: dict[tuple[str, bool], Confirmations] = {}

    def call(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        read_timeout: float = CALL_TIMEOUT,
    ) -> bytes:
        """A small call on an object: the content of the answer."""
        with self.exchange(
            method,
            bucket,
            key,
            query,
            headers=headers,
            body=body,
            length=len(body),
            read_timeout=read_timeout,
        ) as response:
            return response.read()

    def call_bucket(
        self,
        bucket: str,
        query: Mapping[str, str],
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> bytes:
        """What the store answers to a small call on a bucket itself."""
        with self._exchange_url(
            method,
            self._bucket_url(method, bucket, query),
            bucket,
            headers=headers,
            body=body,
            length=len(body),
        ) as response:
            return response.read()

    def put(
        self,
        bucket: str,
        key: str,
        body: bytes | Iterable[bytes],
        length: int,
        crc32: int | None,
        content_type: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> str:
        """Stores an object, or a part of one, of exactly `length` bytes with this CRC-32;
        returns its ETag."""
        kind = (bucket, bool(query))
        confirmations = self._confirmations.setdefault(kind, Confirmations(self._etags[bucket]))
        transfer = confirmations.watch(body, crc32)
        headers = {**transfer.headers, **({"Content-Type": content_type} if content_type else {})}
        if not query:
            # Parts are encrypted as their upload was begun.
            headers |= self._config.encryption_headers
        try:
            with self.exchange(
                "PUT", bucket, key, query, headers=headers, body=transfer.body, length=length
            ) as response:
                response.read()
                answer = response.headers
        except (StorageRefused, StorageUnavailable) as error:
            confirmations.refused(transfer, error.code)
            raise
        confirmations.check(transfer, answer, f"{bucket}/{key}")
        return answer.get("ETag", "").strip('"')

    def arrival(self, bucket: str, key: str, answer: Message) -> Arrival:
        """What comes with an answer that was asked for its sum."""
        return Arrival(answer, self._etags[bucket], f"{bucket}/{key}")

    @contextmanager
    def exchange(
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
        """A call on an object: its answer, to be read inside the `with` block."""
        try:
            url = self._clients().control.get_presigned_url(
                method, bucket, key, CALL_EXPIRES, extra_query_params=dict(query or {})
            )
        except ValueError as error:
            raise invalid_key(bucket, key, error) from error
        if any(name.startswith("x-amz-") for name in headers or {}):
            url, headers = self._with_signed_headers(method, url, query or {}, headers or {})
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
            with self._clients().pool.exchange(
                method,
                url,
                headers=headers,
                body=body,
                length=length,
                read_timeout=read_timeout,
            ) as response:
                if response.status >= 300:
                    raise refusal(response, response.read(), bucket, key, upload_id)
                yield response
        except ConnectionFailed as error:
            raise unreachable(error) from error

    def _with_signed_headers(
        self, method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """The call with its signature in the headers: S3 refuses `x-amz-` headers that are not
        signed, and the SDK signs none in a URL."""
        date, content = datetime.now(UTC), "UNSIGNED-PAYLOAD"
        credentials = self._clients().credentials.retrieve()
        token = credentials.session_token
        address = urlsplit(url)._replace(
            query=urlencode(sorted(query.items()), quote_via=quote, safe="")
        )
        signed = sign_v4_s3(
            method=method,
            url=address,
            region=self._config.region,
            headers={
                **headers,
                "Host": address.netloc,
                "x-amz-content-sha256": content,
                "x-amz-date": to_amz_date(date),
                **({"x-amz-security-token": token} if token else {}),
            },
            credentials=credentials,
            content_sha256=content,
            date=date,
        )
        # http.client says it by itself.
        del signed["Host"]
        return urlunsplit(address), {name: str(value) for name, value in signed.items()}

    def _bucket_url(self, method: str, bucket: str, query: Mapping[str, str]) -> str:
        """A presigned call on a bucket itself, which `get_presigned_url` does not make."""
        config = self._config
        credentials = self._clients().credentials.retrieve()
        given = dict(query)
        if credentials.session_token:
            given["X-Amz-Security-Token"] = credentials.session_token
        any_key = self._clients().control.get_presigned_url("GET", bucket, "k", CALL_EXPIRES)
        address = urlsplit(any_key)
        signed = presign_v4(
            method=method,
            url=address._replace(
                path=address.path.removesuffix("k"),
                query=urlencode(sorted(given.items()), quote_via=quote, safe=""),
            ),
            region=config.region,
            credentials=credentials,
            date=datetime.now(UTC),
            expires=int(CALL_EXPIRES.total_seconds()),
        )
        return urlunsplit(signed)
