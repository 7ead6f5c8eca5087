"""The outermost layer: what every request gets, whatever becomes of it.

It gives the request its id, reads address and dialect from the raw path, keeps escaped
slashes whole on the way through the router, answers HEAD and OPTIONS, turns a crash into
an answer, and logs one line.
"""

import asyncio
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import addresses, dialects, errors
from gateway.answers import problem_response
from gateway.events import accepts_events
from gateway.exchange import Exchange
from gateway.metrics import count_request
from gateway.tracing import RequestSpan, Trace, read_traceparent, trace_of

logger = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_PROBES = ("/healthz", "/readyz")


class Edge:
    """ASGI middleware around the whole gateway."""

    def __init__(self, app: ASGIApp, trace: Trace) -> None:
        self._app = app
        self._trace = trace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._trace(_traceparent(scope)) as span:
            await self._serve(scope, receive, send, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, span: RequestSpan) -> None:
        started = time.monotonic()
        exchange, path = _open(scope)
        exchange.traceparent = span.traceparent
        is_head = scope["method"] == "HEAD"
        # The router splits at slashes: it gets the path as it was sent.
        inner: Scope = {
            **scope,
            "path": path,
            "method": "GET" if is_head else scope["method"],
            "state": {**scope.get("state", {}), "exchange": exchange},
        }
        status = 0
        took: float | None = None

        async def answer(message: Message) -> None:
            nonlocal status, took
            if message["type"] == "http.response.start":
                status = message["status"]
                if exchange.wants_events:
                    # A stream is as long as its reader wants: what it took to begin counts.
                    took = time.monotonic() - started
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = exchange.request_id
                headers.update(exchange.headers)
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            if scope["method"] == "OPTIONS" and exchange.target.methods:
                allow = {"Allow": ", ".join(exchange.target.methods)}
                await Response(status_code=204, headers=allow)(inner, receive, answer)
            else:
                await self._app(inner, receive, answer)
        except ClientDisconnect:
            status = 499
        except asyncio.CancelledError:
            # The grace of a shutdown is over.
            if status:
                raise
            await problem_response(errors.shutting_down(), exchange)(inner, receive, answer)
        except Exception:
            logger.exception("request failed", extra={"request_id": exchange.request_id})
            if status:
                raise
            problem = errors.internal(exchange.request_id)
            await problem_response(problem, exchange)(inner, receive, answer)
        finally:
            if took is None:
                took = time.monotonic() - started
            _log(inner, exchange, status, took, span)


def _open(scope: Scope) -> tuple[Exchange, str]:
    """The exchange of a request, and its raw path."""
    headers = Headers(scope=scope)
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    version = dialects.sdk_version(headers.get("user-agent", ""))
    target = addresses.read(
        raw_path,
        scope["query_string"],
        prefers_by_name=dialects.prefers_by_name(version),
    )
    request_id = headers.get("x-request-id", "")
    exchange = Exchange(
        request_id=request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex,
        api_key=headers.get("x-api-key", "").strip(),
        target=target,
        dialect=dialects.choose(version, target.form),
        wants_events=scope["method"] == "GET" and accepts_events(headers.get("accept", "")),
    )
    return exchange, raw_path.decode("latin-1")


def _traceparent(scope: Scope) -> str:
    return read_traceparent(Headers(scope=scope).get("traceparent", ""))


def _log(scope: Scope, exchange: Exchange, status: int, seconds: float, span: RequestSpan) -> None:
    """One line: the route's template and never the path, whose query may hold names."""
    route = getattr(scope.get("route"), "path", "-")
    if route not in _PROBES:
        count_request(scope["method"], route, status, seconds)
    span.end(
        f"{scope['method']} {route}",
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "cartouche.request_id": exchange.request_id,
        },
        failed=status >= 500,
    )
    client = scope.get("client")
    logger.log(
        logging.DEBUG if route in _PROBES else logging.INFO,
        "request",
        extra={
            "method": scope["method"],
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "request_id": exchange.request_id,
            **trace_of(exchange.traceparent),
            "client": client[0] if client else "-",
        },
    )
