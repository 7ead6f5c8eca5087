"""A REST call on a connection that stays open, beside the gRPC call that it becomes."""

import http.client
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from tests.stack import Stack

_WARM_UP = 50
_PATH = "/api/v1/developer/exports/?limit=1"


@dataclass(frozen=True)
class Latency:
    """Half of the calls, and 99 of 100, took at most so many seconds."""

    p50: float
    p99: float


def latencies(stack: Stack, organization: str, calls: int) -> tuple[Latency, Latency]:
    """Of ListExports over REST and over gRPC, call by call in turns, so that what else the
    machine does falls on both alike."""
    key = stack.key("viewer", organization)
    stub = ExportServiceStub(stack.channel)
    connection = http.client.HTTPConnection("127.0.0.1", stack.http_port, timeout=30)

    def over_rest() -> None:
        connection.request("GET", _PATH, headers={"X-API-Key": key})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status

    def over_grpc() -> None:
        request = pb.ListExportsRequest(limit=1)
        stub.ListExports(request, metadata=(("x-api-key", key),), timeout=30)

    rest: list[float] = []
    grpc: list[float] = []
    try:
        for _ in range(_WARM_UP + calls):
            rest.append(seconds(over_rest))
            grpc.append(seconds(over_grpc))
    finally:
        connection.close()
    return latency(rest[_WARM_UP:]), latency(grpc[_WARM_UP:])


def table(measured: dict[str, tuple[Latency, Latency]]) -> list[str]:
    """The rows of a table in Markdown, one for each title."""
    lines = [
        "",
        "| on | REST p50 / p99 ms | gRPC p50 / p99 ms | REST / gRPC, p50 | REST / gRPC, p99 |",
        "|---|--:|--:|--:|--:|",
    ]
    for title, (rest, grpc) in measured.items():
        lines.append(
            f"| {title} | {_milliseconds(rest)} | {_milliseconds(grpc)} "
            f"| {rest.p50 / grpc.p50:.2f} | {rest.p99 / grpc.p99:.2f} |"
        )
    return lines


def _milliseconds(latency: Latency) -> str:
    return f"{latency.p50 * 1000:.1f} / {latency.p99 * 1000:.1f}"


def seconds(call: Callable[[], None]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def latency(taken: list[float]) -> Latency:
    """Of calls that took so many seconds each."""
    hundredths = statistics.quantiles(taken, n=100)
    return Latency(hundredths[49], hundredths[98])
