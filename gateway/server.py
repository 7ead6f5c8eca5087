"""The gRPC server, as the gateway calls it."""

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import grpc
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from cartouche.webhooks.v1.webhook_service_pb2_grpc import WebhookServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from gateway import errors
from gateway.config import GatewayConfig
from gateway.exchange import Exchange
from gateway.seen_keys import SeenKeys

if TYPE_CHECKING:
    # Of the types alone.
    from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceAsyncStub
    from cartouche.webhooks.v1.webhook_service_pb2_grpc import WebhookServiceAsyncStub

Sent = TypeVar("Sent")
Received = TypeVar("Received")

_SERVICE = "cartouche.exports.v1.ExportService"
_READINESS_TIMEOUT = 2.0
#: Characters of a key: gRPC would refuse metadata of some KiB as if the server were busy.
_MAX_KEY = 256
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

_READS = {
    _SERVICE: ("GetExport", "ListExports", "GetDownloadUrl", "ListFormats", "PreviewExport"),
    "cartouche.catalog.v1.CatalogService": ("GetDataset", "ListDatasets"),
}
#: Reads are tried again where the server is away; writes are left to the client, which
#: knows whether it sent a key with them.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _READS.items()
                for method in methods
            ],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                # Cancelled by a server that shuts down.
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
}

#: How a call ends whose key the server has taken.
_TAKEN = frozenset(
    (
        grpc.StatusCode.OK,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
    )
)

_KEY_ROLE = "x-api-key-role"
_RATE_LIMIT_HEADERS = {
    "x-ratelimit-limit": "X-RateLimit-Limit",
    "x-ratelimit-remaining": "X-RateLimit-Remaining",
    "x-ratelimit-reset": "X-RateLimit-Reset",
}


def rate_limit_headers(trailers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """What the server's trailing metadata says of the key's rate limit, as HTTP headers."""
    return {
        _RATE_LIMIT_HEADERS[name]: value
        for name, value in trailers
        if name in _RATE_LIMIT_HEADERS and isinstance(value, str)
    }


def role_header(trailers: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The role of the key, as the server's trailing metadata has it, as an HTTP header."""
    role = dict(trailers).get(_KEY_ROLE)
    return {"X-API-Key-Role": role} if isinstance(role, str) else {}


def _key(exchange: Exchange) -> str:
    key = exchange.api_key
    if not key:
        raise errors.no_api_key()
    if not (key.isascii() and key.isprintable() and len(key) <= _MAX_KEY):
        raise errors.malformed_api_key()
    return key


def _metadata(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    told = (("x-api-key", exchange.api_key), ("x-request-id", exchange.request_id))
    return (*told, ("traceparent", exchange.traceparent)) if exchange.traceparent else told


class _Channel:
    """A channel, and what the gateway calls on it."""

    def __init__(self, config: GatewayConfig, credentials: grpc.ChannelCredentials | None) -> None:
        self.credentials = credentials
        options: list[tuple[str, str | int]] = [
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
            ("grpc.enable_http_proxy", 0),
            # A server that comes back is found again soon.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        if credentials is None:
            channel = grpc.aio.insecure_channel(config.server, options)
        else:
            if config.server_name:
                options.append(("grpc.ssl_target_name_override", config.server_name))
            channel = grpc.aio.secure_channel(config.server, credentials, options)
        self.close = channel.close
        self.exports = ExportServiceStub(channel)
        self.catalog = CatalogServiceStub(channel)
        self.webhooks = WebhookServiceStub(channel)
        self.check: grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse] = (
            channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
        )


class Server:
    """The server, and the calls the gateway makes of it."""

    def __init__(self, config: GatewayConfig) -> None:
        self._config = config
        self._seen_keys = SeenKeys(config.key_memory)
        self._channel = _Channel(config, config.credentials())
        #: Channels with replaced certificates, whose last calls end.
        self._leaving: set[asyncio.Future[None]] = set()

    @property
    def exports(self) -> "ExportServiceAsyncStub":
        """The calls of ExportService, each of them for one use at once."""
        return self._current().exports

    @property
    def catalog(self) -> "CatalogServiceAsyncStub":
        """The calls of CatalogService, each of them for one use at once."""
        return self._current().catalog

    @property
    def webhooks(self) -> "WebhookServiceAsyncStub":
        """The calls of WebhookService, each of them for one use at once."""
        return self._current().webhooks

    def _current(self) -> _Channel:
        credentials = self._config.credentials()
        if credentials is not self._channel.credentials:
            old, self._channel = self._channel, _Channel(self._config, credentials)
            leaving = asyncio.ensure_future(old.close(self._config.call_timeout))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        return self._channel

    async def close(self) -> None:
        """Closes every channel."""
        await asyncio.gather(self._channel.close(None), *self._leaving)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Sent, Received],
        request: Sent,
        exchange: Exchange,
    ) -> Received:
        """Calls the server on behalf of a client, with the client's key and a deadline.

        Raises:
            Problem: the client sent no key, or one that cannot be one.
            grpc.aio.AioRpcError: the server's error.
        """
        key = _key(exchange)
        call = method(
            request,
            timeout=self._config.call_timeout,
            metadata=_metadata(exchange),
        )
        exchange.authenticated = True
        try:
            return await call
        finally:
            trailers = await call.trailing_metadata() or ()
            limits = rate_limit_headers(trailers)
            exchange.headers |= limits | role_header(trailers)
            code = await call.code()
            # A limited key is shown each time, for each request counts.
            if code is grpc.StatusCode.UNAUTHENTICATED or limits:
                self._seen_keys.forget(key)
            elif code in _TAKEN:
                self._seen_keys.add(key)

    def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Sent, Received],
        request: Sent,
        exchange: Exchange,
    ) -> "grpc.aio.UnaryStreamCall[Sent, Received]":
        """Begins a stream on behalf of a client; it has no deadline.

        Raises:
            Problem: the client sent no key, or one that cannot be one.
        """
        _key(exchange)
        call = method(request, metadata=_metadata(exchange))
        exchange.authenticated = True
        return call

    async def authenticate(self, exchange: Exchange) -> None:
        """Shows the server the key of a request that the gateway refuses by itself, so that a
        wrong key and a used-up rate limit come first there too. A key without a limit that the
        server took a moment ago is not shown again.

        Raises:
            Problem: as `call`.
            grpc.aio.AioRpcError: the key is wrong, its rate limit is used up, or the server does
                not answer, so that nobody knows.
        """
        if exchange.authenticated or exchange.api_key in self._seen_keys:
            return
        await self.call(self.exports.ListExports, pb.ListExportsRequest(limit=1), exchange)

    async def is_ready(self) -> bool:
        """Whether the server says that it serves."""
        try:
            answer = await self._current().check(
                HealthCheckRequest(service=_SERVICE), timeout=_READINESS_TIMEOUT
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)
