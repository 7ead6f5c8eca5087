"""Traces cost nothing where nobody asks for them, and few spans where somebody does."""

import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services import logs, tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Traced:
    """Traces that stay in this process."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.end = tracing.begin_with("test", self._exporter)

    def spans(self) -> Sequence[ReadableSpan]:
        """Every span that has ended; no more follow."""
        self.end()
        return self._exporter.get_finished_spans()


@pytest.fixture
def traced() -> Iterator[Traced]:
    begun = Traced()
    yield begun
    begun.end()


def test_nothing_is_loaded_without_an_endpoint() -> None:
    code = (
        "import sys; from services import tracing; end = tracing.begin('x', '')\n"
        "with tracing.span('a', 'server') as s, tracing.child('b'): s.set('c', 1)\n"
        "end(); assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_context_is_passed_on_while_traces_are_off() -> None:
    with tracing.span("call", "server", PARENT):
        assert logs.traceparent.get() == PARENT
        with tracing.span("step", "consumer", "nonsense"):
            assert logs.traceparent.get() == ""
        assert logs.traceparent.get() == PARENT
    assert logs.traceparent.get() == ""


@pytest.mark.parametrize(
    "odd", ["", "x", PARENT + "0", PARENT.upper(), "00-" + "0" * 32 + "-00f067aa0ba902b7-01"]
)
def test_an_odd_parent_begins_a_trace(odd: str, traced: Traced) -> None:
    with tracing.span("call", "server", odd):
        assert logs.traceparent.get()[3:35] != PARENT[3:35]


def test_children_are_bounded(traced: Traced) -> None:
    with tracing.child("of nobody"):
        pass
    with tracing.span("step", "consumer", PARENT):
        for _ in range(tracing.MOST_CHILDREN + 5):
            with tracing.child("child"):
                pass
    spans = traced.spans()
    names = [span.name for span in spans]
    assert names.count("child") == tracing.MOST_CHILDREN
    assert "of nobody" not in names
    (step,) = [span for span in spans if span.name == "step"]
    assert step.attributes is not None
    assert step.attributes["cartouche.children_left_out"] == 5
    assert step.parent is not None
    assert f"{step.parent.trace_id:032x}" == PARENT[3:35]
