"""What takes traces over OTLP, in this process, on a loopback port."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

_ERROR = 2


@dataclass(frozen=True)
class Span:
    """A span as it came in."""

    service: str
    name: str
    kind: str
    trace_id: str
    id: str
    parent_id: str
    failed: bool
    attributes: dict[str, Any] = field(hash=False)


class Collector(rpc.TraceServiceServicer):
    """Keeps every span."""

    def __init__(self) -> None:
        self.endpoint = ""
        self._spans: list[Span] = []
        self._lock = Lock()

    def spans(self) -> list[Span]:
        """What has come in so far."""
        with self._lock:
            return list(self._spans)

    def Export(self, request: Any, context: Any) -> Any:
        """A batch of one process."""
        found = []
        for resource_spans in request.resource_spans:
            service = _plain(resource_spans.resource.attributes)["service.name"]
            for scope in resource_spans.scope_spans:
                found += [_span(service, span) for span in scope.spans]
        with self._lock:
            self._spans += found
        return pb.ExportTraceServiceResponse()


def _span(service: str, span: WireSpan) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        failed=span.status.code == _ERROR,
        attributes=_plain(span.attributes),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that listens until the end of the block."""
    found = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    rpc.add_TraceServiceServicer_to_server(found, server)  # type: ignore[no-untyped-call]
    found.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield found
    finally:
        server.stop(1).wait()
