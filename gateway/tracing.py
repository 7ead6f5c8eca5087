"""Traces as the gateway makes them: what makes spans is handed in, so that none is needed."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

#: https://www.w3.org/TR/trace-context/
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class RequestSpan(Protocol):
    """The span of one request."""

    @property
    def traceparent(self) -> str:
        """What calls of the server are told, so that they belong to the same trace."""

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """Says how the request ended."""


class Trace(Protocol):
    """Makes a span for a request, in the trace of the caller's traceparent; empty: a new one."""

    def __call__(self, traceparent: str) -> AbstractContextManager[RequestSpan]: ...


class _PassedOn:
    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        pass


@contextmanager
def no_trace(traceparent: str) -> Iterator[RequestSpan]:
    """Makes no span: what the caller sent is passed on."""
    yield _PassedOn(traceparent)


def read_traceparent(value: str) -> str:
    """A traceparent that was sent; empty: none, or none that can be read."""
    return value if _TRACEPARENT.fullmatch(value) else ""


def trace_of(traceparent: str) -> dict[str, str]:
    """What a log line says of the trace."""
    return {"trace_id": traceparent.split("-")[1]} if traceparent else {}
