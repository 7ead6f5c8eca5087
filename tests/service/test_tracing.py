"""One trace from the request to the last segment, and the lines that belong to it."""

import json
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.collector import Collector, Span, collector
from tests.datasets import Picture, bbox, noise_jpeg, put_all
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.stack import Production
from workers.archive.segments import MAX_PARTS

pytestmark = pytest.mark.timeout(180)

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
REQUEST_ID = "traced-request"


@pytest.fixture(scope="module")
def traces() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    traces: Collector, postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> Iterator[Production]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "CARTOUCHE_PART_SIZE": str(5 * 1024 * 1024),
    }
    broker_url = f"{redis.url.rsplit('/', 1)[0]}/7"
    with Production(
        postgresql.create_database(), broker_url, object_store, name="traced", settings=settings
    ) as running:
        pictures = [Picture(f"{n:02}.jpg", noise_jpeg(n), [bbox("car")]) for n in range(24)]
        put_all(running, "noise", pictures)
        yield running


@pytest.fixture(scope="module")
def export_id(stack: Production) -> str:
    """An export of several segments, asked for over REST by a caller that traces, and completed."""
    client = stack.http("member")
    answer = client.post(
        "/api/v1/developer/exports/",
        json={"dataset_name": "noise", "name": "traced", "include_images": True},
        headers={
            "traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01",
            "X-Request-Id": REQUEST_ID,
        },
    )
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    deadline = time.monotonic() + 60
    while client.get(f"/api/v1/developer/exports/{made}").json()["status"] != "completed":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return made


@pytest.fixture(scope="module")
def spans(traces: Collector, export_id: str) -> list[Span]:
    """Those of the caller's trace, once the last step has told."""
    deadline = time.monotonic() + 30
    while True:
        found = [span for span in traces.spans() if span.trace_id == TRACE_ID]
        if any(span.name == "export finish" for span in found):
            # What other processes have to say of it.
            time.sleep(1)
            return [span for span in traces.spans() if span.trace_id == TRACE_ID]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_trace_reaches_from_the_request_to_the_last_segment(
    spans: list[Span], export_id: str
) -> None:
    (request,) = [span for span in spans if span.service == "cartouche-gateway"]
    assert (request.name, request.kind) == ("POST /api/v1/developer/exports/", "server")
    assert request.parent_id == PARENT_ID
    assert request.attributes["http.response.status_code"] == 201

    (call,) = [span for span in spans if span.kind == "server" and span is not request]
    assert call.name == "cartouche.exports.v1.ExportService/CreateExport"
    assert (call.service, call.parent_id) == ("cartouche-server", request.id)
    assert call.attributes["rpc.response.status_code"] == "OK"

    steps = [span for span in spans if span.kind == "consumer"]
    assert {(span.service, span.parent_id) for span in steps} == {("cartouche-worker", call.id)}
    assert {span.attributes["cartouche.export.id"] for span in steps} == {export_id}
    done = Counter(s.name for s in steps if s.attributes["cartouche.outcome"] == "done")
    segments = {s.attributes["cartouche.segment"] for s in steps if s.name == "export segment"}
    assert len(segments) >= 2
    assert done == {"export plan": 1, "export segment": len(segments), "export finish": 1}
    assert not [span for span in spans if span.failed]


def test_steps_show_what_they_ask_of_database_and_store(spans: list[Span]) -> None:
    by_parent: dict[str, list[Span]] = {}
    for span in spans:
        by_parent.setdefault(span.parent_id, []).append(span)
    for step in (span for span in spans if span.kind in ("consumer", "server")):
        below = by_parent.get(step.id, [])
        assert len(below) <= 110, step
        children = {child.name for child in below if child.kind in ("client", "internal")}
        if step.name == "export segment":
            is_part = step.attributes["cartouche.segment"] <= MAX_PARTS
            made = {"images", "s3 put_part"} if is_part else {"text", "s3 put"}
            assert {*made, "postgresql write"} <= children
        if step.name == "export finish":
            assert {"finish", "verify", "s3 complete_upload"} <= children
        if step.name.endswith("CreateExport"):
            assert {"postgresql read", "postgresql write"} <= children


def test_no_span_tells_a_secret(stack: Production, traces: Collector, spans: list[Span]) -> None:
    told = repr(traces.spans())
    secrets = [stack.key(role) for role in ("owner", "member", "viewer")]
    secrets += [stack.store.credentials.secret_key, "X-Amz-Signature"]
    assert [secret for secret in secrets if secret in told] == []


def test_every_line_of_the_work_says_what_it_belongs_to(
    stack: Production, spans: list[Span], export_id: str
) -> None:
    lines = [
        (name, json.loads(line))
        for name, process in stack.processes.items()
        for line in process.err.read_text().splitlines()
    ]
    for _, line in lines:
        assert {"time", "level", "logger", "message"} <= set(line)
    traced = [(name, line) for name, line in lines if line.get("trace_id") == TRACE_ID]
    assert {line["request_id"] for _, line in traced} == {REQUEST_ID}
    said = {(name.split("-")[0], line["message"]) for name, line in traced}
    assert {("gateway", "request"), ("serve", "call"), ("worker", "export completed")} <= said
    of_work = [line for name, line in traced if name.startswith("worker")]
    assert {line["export_id"] for line in of_work} == {export_id}
    assert [line for _, line in lines if line.get("export_id") == export_id] == of_work
    written = "".join(process.err.read_text() for process in stack.processes.values())
    assert stack.key("member") not in written
    assert "X-Amz-Signature" not in written
