"""Traces: what became of a request, over processes, as OpenTelemetry tells it.

Off unless `begin` is given an endpoint, and then nothing of OpenTelemetry is loaded. The context
of a trace travels as the W3C's traceparent (https://www.w3.org/TR/trace-context/): in the metadata
of a call, and on the row of an export. Also while traces are off it is passed on, so that log lines
carry the trace id of a caller who has one.

Spans of calls and steps hold few children: transactions, calls of the store, stages. Beyond
`MOST_CHILDREN` of them a span only counts what it leaves out.
"""

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal, Protocol

from services import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span as OpenTelemetrySpan
    from opentelemetry.trace import Tracer

MOST_CHILDREN = 100
#: Seconds that the end of a process waits for its last spans to be taken.
_FAREWELL = 3.0
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Kind = Literal["internal", "server", "client", "consumer"]
Value = str | int | float | bool


class Span(Protocol):
    """A part of a trace under way."""

    def set(self, name: str, value: Value) -> None:
        """Gives it an attribute."""

    def rename(self, name: str) -> None:
        """Gives it a better name."""

    def fail(self, reason: str) -> None:
        """Says that it went wrong: a word of few, never a message."""


class _NoSpan:
    def set(self, name: str, value: Value) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass


class _Children:
    """The span that children belong to, and how many it still takes."""

    def __init__(self, span: "OpenTelemetrySpan") -> None:
        self.span = span
        self.left = MOST_CHILDREN
        self.left_out = 0


_NO_SPAN = _NoSpan()
_tracer: "Tracer | None" = None
_children: ContextVar[_Children | None] = ContextVar("children", default=None)


def begin(part: str, endpoint: str) -> Callable[[], None]:
    """Sends the spans of this process to `endpoint` (OTLP over gRPC); empty: makes none.

    Everything else is as the OpenTelemetry SDK reads it from the environment (OTEL_…).

    Returns what sends the last ones.
    """
    if not endpoint:
        return lambda: None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return begin_with(part, OTLPSpanExporter(endpoint=endpoint))


def begin_with(part: str, exporter: "SpanExporter") -> Callable[[], None]:
    """The same with an exporter that is there."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _tracer
    attributes = {
        "service.namespace": "cartouche",
        "service.version": version("cartouche"),
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
    }
    if "OTEL_SERVICE_NAME" not in os.environ:
        attributes["service.name"] = f"cartouche-{part}"
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("cartouche", version("cartouche"))

    def end() -> None:
        global _tracer
        _tracer = None
        # It tries for long where nobody listens.
        ending = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_FAREWELL)

    return end


@contextmanager
def span(
    name: str,
    kind: Kind,
    parent: str = "",
    attributes: Mapping[str, Value] | None = None,
    *,
    takes_children: bool = True,
) -> Iterator[Span]:
    """A span of the block, in the trace of `parent` (a traceparent; empty or odd: a new one).

    In the block `logs.traceparent` names it. Without `takes_children` it does not: the block may
    be left by threads and tasks that did not enter it.
    """
    if not _TRACEPARENT.fullmatch(parent):
        parent = ""
    if _tracer is None:
        if not takes_children:
            yield _NO_SPAN
            return
        told = logs.traceparent.set(parent)
        try:
            yield _NO_SPAN
        finally:
            logs.traceparent.reset(told)
        return
    made = _Made(_start(_tracer, name, kind, parent, attributes))
    try:
        if not takes_children:
            yield made
            return
        told = logs.traceparent.set(_traceparent(made.span))
        children = _Children(made.span)
        held = _children.set(children)
        try:
            yield made
        finally:
            _children.reset(held)
            logs.traceparent.reset(told)
            if children.left_out:
                made.set("cartouche.children_left_out", children.left_out)
    except Exception as error:
        made.fail(type(error).__name__)
        raise
    finally:
        made.span.end()


@contextmanager
def child(
    name: str, kind: Kind = "internal", attributes: Mapping[str, Value] | None = None
) -> Iterator[Span]:
    """A span of the block below that of the call or step under way; none where there is none."""
    parent = _children.get()
    if _tracer is None or parent is None or not parent.span.is_recording():
        yield _NO_SPAN
        return
    if parent.left <= 0:
        parent.left_out += 1
        yield _NO_SPAN
        return
    parent.left -= 1
    made = _Made(_start(_tracer, name, kind, _traceparent(parent.span), attributes))
    try:
        yield made
    except Exception as error:
        made.fail(type(error).__name__)
        raise
    finally:
        made.span.end()


def tell(name: str, value: Value) -> None:
    """Gives an attribute to the span of the call or step under way, where there is one."""
    parent = _children.get()
    if parent is not None:
        parent.span.set_attribute(name, value)


class _Made:
    def __init__(self, span: "OpenTelemetrySpan") -> None:
        self.span = span

    def set(self, name: str, value: Value) -> None:
        self.span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self.span.update_name(name)

    def fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self.span.set_attribute("error.type", reason)
        self.span.set_status(Status(StatusCode.ERROR))


def _start(
    tracer: "Tracer", name: str, kind: Kind, parent: str, attributes: Mapping[str, Value] | None
) -> "OpenTelemetrySpan":
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = Context()
    if parent:
        context = TraceContextTextMapPropagator().extract({"traceparent": parent}, context)
    return tracer.start_span(
        name, context, kind=SpanKind[kind.upper()], attributes=dict(attributes or {})
    )


def _traceparent(span: "OpenTelemetrySpan") -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
