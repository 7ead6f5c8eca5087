"""What every call of Cartouche's services goes through: request id, API key, error statuses."""

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from services import logs
from services.database.engine import Database
from services.errors import (
    DOMAIN,
    AlreadyExists,
    CartoucheError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WrongState,
)
from services.identity.keys import authenticate
from services.identity.rate_limits import RateLimiter
from services.identity.roles import Caller

logger = logging.getLogger(__name__)

OWN_PREFIX = "/cartouche."
STATUS_DETAILS = "grpc-status-details-bin"
REQUEST_ID = "x-request-id"
API_KEY = "x-api-key"

_caller: ContextVar[Caller] = ContextVar("caller")

_CODES: dict[type[CartoucheError], grpc.StatusCode] = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    Conflict: grpc.StatusCode.ABORTED,
    RateLimited: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
}

# Generic for the type checker only.
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Metadata = tuple[tuple[str, str | bytes], ...]


def caller() -> Caller:
    """Who makes the call that is being served."""
    return _caller.get()


def status_of(error: CartoucheError, request_id: str) -> tuple[grpc.StatusCode, str, Metadata]:
    """An error as gRPC sends it: code, message, and trailing metadata with the details."""
    code = _CODES[type(error)]
    details: list[Any] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, Invalid):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(field=name, description=text)
                    for name, text in error.fields.items()
                ]
            )
        )
    if isinstance(error, RateLimited | Unavailable):
        seconds = int(error.metadata.get("retry_after", "1"))
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=seconds)))
    status = status_pb2.Status(code=code.value[0], message=error.message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return code, error.message, ((STATUS_DETAILS, status.SerializeToString()),)


def _internal(request_id: str) -> tuple[grpc.StatusCode, str, Metadata]:
    message = f"Something went wrong on our side; quote the request id {request_id}."
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=message)
    return grpc.StatusCode.INTERNAL, message, ((STATUS_DETAILS, status.SerializeToString()),)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of Cartouche's own services; health and reflection stay open."""

    def __init__(self, database: Database, limiter: RateLimiter) -> None:
        self._database = database
        self._limiter = limiter

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(OWN_PREFIX):
            return handler
        if handler.unary_unary:
            assert not inspect.iscoroutinefunction(handler.unary_unary)
            return grpc.unary_unary_rpc_method_handler(
                self._unary(handler.unary_unary, method),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(handler.unary_stream, method),
                handler.request_deserializer,
                handler.response_serializer,
            )
        assert handler.stream_stream is not None
        return grpc.stream_stream_rpc_method_handler(
            self._stream(handler.stream_stream, method),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        """Synchronous handlers run on the server's thread pool, and so does this."""

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            request_id, key = _identify(context)
            started = time.monotonic()
            said: Metadata = ((REQUEST_ID, request_id),)
            try:
                said += self._admit(key)
                response = behaviour(request, context)
            except Exception as error:
                code, message, trailing = _failure(error, request_id)
                _log(method, started, code)
                context.abort(code, message, trailing + said)  # type: ignore[call-arg]
            context.set_trailing_metadata(said)
            _log(method, started, grpc.StatusCode.OK)
            return response

        return call

    def _stream(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            request_id, key = _identify(context)
            started = time.monotonic()
            said: Metadata = ((REQUEST_ID, request_id),)
            try:
                known, allowance = await asyncio.to_thread(self._known, key)
                _caller.set(known)
                said += allowance
                async for response in behaviour(request, context):
                    yield response
            except Exception as error:
                code, message, trailing = _failure(error, request_id)
                _log(method, started, code)
                await context.abort(code, message, trailing + said)
            context.set_trailing_metadata(said)
            _log(method, started, grpc.StatusCode.OK)

        return call

    def _admit(self, key: str) -> Metadata:
        """Sets who calls; what the caller may still do is for the answer."""
        known, allowance = self._known(key)
        _caller.set(known)
        return allowance

    def _known(self, key: str) -> tuple[Caller, Metadata]:
        known = authenticate(self._database, key)
        allowance = self._limiter.count(known)
        if allowance is None:
            return known, ()
        return known, _allowance(allowance.limit, allowance.remaining, allowance.reset_at)


def _allowance(limit: object, remaining: object, reset: object) -> Metadata:
    return (
        ("x-ratelimit-limit", str(limit)),
        ("x-ratelimit-remaining", str(remaining)),
        ("x-ratelimit-reset", str(reset)),
    )


def _identify(context: Any) -> tuple[str, str]:
    metadata = dict(context.invocation_metadata() or ())
    request_id = str(metadata.get(REQUEST_ID, ""))[:128] or uuid.uuid4().hex
    logs.request_id.set(request_id)
    return request_id, str(metadata.get(API_KEY, ""))


def _failure(error: Exception, request_id: str) -> tuple[grpc.StatusCode, str, Metadata]:
    if isinstance(error, CartoucheError):
        code, message, trailing = status_of(error, request_id)
        if isinstance(error, RateLimited):
            trailing += _allowance(*(error.metadata[k] for k in ("limit", "remaining", "reset")))
        return code, message, trailing
    logger.exception("a call failed")
    return _internal(request_id)


def _log(method: str, started: float, code: grpc.StatusCode) -> None:
    logger.info(
        "call",
        extra={
            "method": method,
            "code": code.name,
            "milliseconds": round((time.monotonic() - started) * 1000, 1),
        },
    )
