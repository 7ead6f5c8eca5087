"""What every call of Cartouche's services goes through: request id, API key, error statuses."""

import asyncio
import inspect
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import grpc

from services import logs, metrics, tracing
from services.allocator import trim
from services.database.engine import Database
from services.errors import CartoucheError, Overloaded, Unavailable
from services.identity.keys import authenticate, callers_of, digest_of, known_holder
from services.identity.rate_limits import Allowance, RateLimiter
from services.identity.roles import Caller
from services.rpc.caller import set_caller
from services.rpc.gathering import GatheredReads, Readers
from services.rpc.requests import LIGHT_SIZE, MAX_SIZE, all_read, check_request, reader
from services.rpc.status import (
    API_KEY,
    KEY_ROLE,
    REQUEST_ID,
    Failure,
    Metadata,
    failure_of,
    internal_failure,
    rate_limit_metadata,
)
from services.server.draining import Drain

logger = logging.getLogger(__name__)

OWN_PREFIX = "/cartouche."
#: Seconds that a call may stand in line for a thread. One that has stood there for longer is told
#: to come back, at next to no cost: so a line gets shorter before those in it give up.
LINE_PATIENCE = 10.0
#: Seconds after which they may come back.
_COME_BACK = 5
#: Ends of calls that callers are not to blame for.
_OURS = frozenset(
    (
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DATA_LOSS,
    )
)

# Generic for the type checker only.
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of Cartouche's own services; health and reflection stay open, and
    only end with the server."""

    def __init__(
        self, database: Database, limiter: RateLimiter, drain: Drain, readers: Readers
    ) -> None:
        self._database = database
        self._callers = GatheredReads(partial(callers_of, database), readers)
        self._limiter = limiter
        self._drain = drain

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        is_own = method.startswith(OWN_PREFIX)
        deserialize = handler.request_deserializer
        assert deserialize is not None
        coders = reader(deserialize) if is_own else deserialize, handler.response_serializer
        if streaming := handler.unary_stream or handler.stream_stream:
            make = (
                grpc.unary_stream_rpc_method_handler
                if handler.unary_stream
                else grpc.stream_stream_rpc_method_handler
            )
            call = self._stream(streaming, method) if is_own else self._open_stream(streaming)
            return make(call, *coders)
        if not is_own:
            return handler
        assert handler.unary_unary is not None
        wrapped = self._light if inspect.iscoroutinefunction(handler.unary_unary) else self._unary
        return grpc.unary_unary_rpc_method_handler(wrapped(handler.unary_unary, method), *coders)

    def _unary(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        """Synchronous handlers run on the server's thread pool, and so does this."""
        came_at = time.monotonic()

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            with _attended(method, context) as attended:
                _check_line(attended.started - came_at)
                attended.said += self._admit(attended.key)
                response = _read_and_answer(request, behaviour, context)
            if request.is_large:
                # What was parsed is free by now, and goes back before others take it.
                trim()
            if attended.failed is not None:
                context.abort(*attended.end)  # type: ignore[call-arg]
            context.set_trailing_metadata(attended.said)
            return response

        return call

    def _light(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        """Handlers that are coroutines, and so light that they run on the event loop."""

        async def call(request: Any, context: Any) -> Any:
            with _attended(method, context) as attended:
                attended.said += await self._admit_soon(attended.key)
                message = request.read(LIGHT_SIZE)
                check_request(message)
                response = await behaviour(message, context)
            if attended.failed is not None:
                await context.abort(*attended.end)
            context.set_trailing_metadata(attended.said)
            return response

        return call

    def _stream(self, behaviour: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            # Whatever a stream does by and by is no child of it: there is no end to that.
            with _attended(method, context, takes_children=False) as attended:
                attended.said += await self._admit_soon(attended.key)
                # What is wrong with one message of many is for the method to answer.
                if isinstance(request, AsyncIterator):
                    request = all_read(request)
                else:
                    request = request.read(MAX_SIZE)
                    check_request(request)
                async for response in self._drain.through(behaviour(request, context)):
                    yield response
            if attended.failed is not None:
                await context.abort(*attended.end)
            context.set_trailing_metadata(attended.said)

        return call

    def _open_stream(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """A stream of health or reflection."""

        async def call(request: Any, context: Any) -> None:
            try:
                with self._drain.waiting():
                    responses = behaviour(request, context)
                    # That of health is a coroutine, which writes by itself.
                    if inspect.isawaitable(responses):
                        await responses
                        return
                    async for response in responses:
                        await context.write(response)
            except Unavailable as error:
                request_id, _ = _identify(context)
                await context.abort(*failure_of(error, request_id))

        return call

    def _admit(self, key: str) -> Metadata:
        """Sets who calls; his role, and what he may still do, are for the answer."""
        known = authenticate(self._database, key)
        set_caller(known)
        return _allowed(known, self._limiter.count(known))

    async def _admit_soon(self, key: str) -> Metadata:
        """`_admit` on the event loop."""
        known = known_holder(await self._callers.get(digest_of(key)))
        set_caller(known)
        if self._limiter.is_shared:
            return _allowed(known, await asyncio.to_thread(self._limiter.count, known))
        return _allowed(known, self._limiter.count(known))


@dataclass(slots=True)
class _Attended:
    """A call that is being answered."""

    request_id: str
    #: Of its caller, as sent.
    key: str
    started: float
    #: Metadata of the answer, whatever it will be.
    said: Metadata
    failed: Failure | None = None

    @property
    def end(self) -> Failure:
        """How one ends that has failed."""
        assert self.failed is not None
        code, text, trailing = self.failed
        return code, text, trailing + self.said


@contextmanager
def _attended(method: str, context: Any, *, takes_children: bool = True) -> Iterator[_Attended]:
    """A block that answers a call: it has a span and a line in the log, and its error is kept for
    whoever ends the call."""
    request_id, key = _identify(context)
    call = _Attended(request_id, key, time.monotonic(), ((REQUEST_ID, request_id),))
    with tracing.span(*_span_of(method, context), takes_children=takes_children) as span:
        try:
            yield call
        except Exception as error:
            call.failed = _failure(error, request_id)
        _log(method, call.started, call.failed[0] if call.failed else grpc.StatusCode.OK, span)


def _allowed(known: Caller, allowance: Allowance | None) -> Metadata:
    role: Metadata = ((KEY_ROLE, known.role.name),)
    if allowance is None:
        return role
    return role + rate_limit_metadata(allowance.limit, allowance.remaining, allowance.reset_at)


def _read_and_answer(request: Any, behaviour: Callable[..., Any], context: Any) -> Any:
    message = request.read(MAX_SIZE)
    check_request(message)
    return behaviour(message, context)


def _check_line(waited: float) -> None:
    """Raises:
    Overloaded: a call has stood in line for too many seconds.
    """
    if waited > LINE_PATIENCE:
        raise Overloaded(
            "OVERLOADED",
            f"Too many calls come at once: this one stood in line for {waited:.0f} s. Try again "
            f"in {_COME_BACK} s, and send fewer at the same time.",
            {"retry_after": str(_COME_BACK)},
        )


def _identify(context: Any) -> tuple[str, str]:
    metadata = dict(context.invocation_metadata() or ())
    request_id = str(metadata.get(REQUEST_ID, ""))[:128] or uuid.uuid4().hex
    logs.request_id.set(request_id)
    return request_id, str(metadata.get(API_KEY, ""))


def _failure(error: Exception, request_id: str) -> Failure:
    if isinstance(error, CartoucheError):
        return failure_of(error, request_id)
    logger.exception("a call failed")
    return internal_failure(request_id)


def _span_of(method: str, context: Any) -> tuple[str, tracing.Kind, str, dict[str, tracing.Value]]:
    """What a call is called in its trace, and the trace that the caller named."""
    name = method.removeprefix("/")
    metadata = dict(context.invocation_metadata() or ())
    attributes: dict[str, tracing.Value] = {"rpc.system.name": "grpc", "rpc.method": name}
    return name, "server", str(metadata.get("traceparent", "")), attributes


def _log(method: str, started: float, code: grpc.StatusCode, span: tracing.Span) -> None:
    seconds = time.monotonic() - started
    # Known to the server, as only what it serves comes here.
    span.set("rpc.response.status_code", code.name)
    if code in _OURS:
        span.fail(code.name)
    name = method.removeprefix(OWN_PREFIX)
    metrics.RPCS.labels(name, code.name).inc()
    metrics.RPC_SECONDS.labels(name).observe(seconds)
    logger.info(
        "call",
        extra={
            "method": method,
            "code": code.name,
            "milliseconds": round(seconds * 1000, 1),
        },
    )
