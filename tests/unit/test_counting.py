"""What one process counts, another adds to its own; and labels stay few."""

import json
import subprocess
import sys

from prometheus_client import REGISTRY

from gateway.metrics import count_request
from services import metrics


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_what_a_process_counted_that_has_ended_is_added() -> None:
    code = (
        "import json; from services import metrics\n"
        "metrics.STEPS.labels('segment', 'done').inc(3); metrics.SEGMENTS.inc(2)\n"
        "print(json.dumps(metrics.counted()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    counted = json.loads(told.stdout)
    before = value("cartouche_steps_total", step="segment", outcome="done")
    built = value("cartouche_segments_built_total")
    metrics.add(counted)
    assert value("cartouche_steps_total", step="segment", outcome="done") == before + 3
    assert value("cartouche_segments_built_total") == built + 2
    assert len(counted) == 2


def test_methods_that_nobody_knows_are_one() -> None:
    for method in ("BREW", "X" * 1000):
        count_request(method, "-", 405, 0.001)
    labels = {"method": "other", "route": "-", "status": "405"}
    assert value("cartouche_http_requests_total", **labels) == 2
