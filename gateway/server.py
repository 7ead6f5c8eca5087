"""The gRPC server, as the gateway calls it."""

import json
from collections.abc import Iterable
from typing import TypeVar

import grpc
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from gateway import errors
from gateway.config import GatewayConfig
from gateway.exchange import Exchange
from gateway.seen_keys import SeenKeys

Sent = TypeVar("Sent")
Received = TypeVar("Received")

_SERVICE = "cartouche.exports.v1.ExportService"
_READINESS_TIMEOUT = 2.0
#: Characters of a key: gRPC would refuse metadata of some KiB as if the server were busy.
_MAX_KEY = 256
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: Reads are tried again where the server is away; writes are left to the client, which
#: knows whether it sent a key with them.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [
                {"service": _SERVICE, "method": method}
                for method in ("GetExport", "ListExports", "GetDownloadUrl")
            ],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
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


def _metadata(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    told = (("x-api-key", exchange.api_key), ("x-request-id", exchange.request_id))
    return (*told, ("traceparent", exchange.traceparent)) if exchange.traceparent else told


class Server:
    """One channel to the server and the calls the gateway makes on it."""

    def __init__(self, config: GatewayConfig) -> None:
        self._timeout = config.call_timeout
        self._seen_keys = SeenKeys(config.key_memory)
        self._channel = grpc.aio.insecure_channel(
            config.server,
            options=[
                ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
                ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
                ("grpc.enable_http_proxy", 0),
                # A server that comes back is found again soon.
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 2000),
            ],
        )
        self.exports = ExportServiceStub(self._channel)
        self._check: grpc.aio.UnaryUnaryMultiCallable[HealthCheckRequest, HealthCheckResponse] = (
            self._channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=HealthCheckRequest.SerializeToString,
                response_deserializer=HealthCheckResponse.FromString,
            )
        )

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

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
        key = exchange.api_key
        if not key:
            raise errors.no_api_key()
        if not (key.isascii() and key.isprintable() and len(key) <= _MAX_KEY):
            raise errors.malformed_api_key()
        call = method(
            request,
            timeout=self._timeout,
            metadata=_metadata(exchange),
        )
        exchange.authenticated = True
        try:
            return await call
        finally:
            limits = rate_limit_headers(await call.trailing_metadata() or ())
            exchange.headers |= limits
            code = await call.code()
            # A limited key is shown each time, for each request counts.
            if code is grpc.StatusCode.UNAUTHENTICATED or limits:
                self._seen_keys.forget(key)
            elif code in _TAKEN:
                self._seen_keys.add(key)

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
            answer = await self._check(
                HealthCheckRequest(service=_SERVICE), timeout=_READINESS_TIMEOUT
            )
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)
