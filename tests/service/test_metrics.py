"""What the running parts count is what the page says, and tells of no tenant."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.database.engine import Database
from services.exports import claims
from services.exports.backlog import backlog
from services.exports.model import Lane
from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import completed, create, failed, watch
from tests.service.record import CAP, Tenant, take
from tests.stack import Stack

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
#: name: its labels, as the page says.
DOCUMENTED = {
    name: set(filter(None, labels.replace(" ", "").split(",")))
    for name, labels in re.findall(
        r"^\| `(cartouche_\w+)` \| ([\w, ]*?) ?\|", PAGE.read_text(), re.M
    )
}


def scrape(stack: Stack) -> dict[str, list[Metric]]:
    """What each process shows."""
    shown = {}
    for name in stack.processes:
        answer = stack.look(name, "/metrics")
        assert answer.status_code == 200
        shown[name] = list(text_string_to_metric_families(answer.text))
    return shown


def value(stack: Stack, name: str, **labels: str) -> float:
    """The sum of a series over all processes."""
    return sum(
        sample.value
        for metrics in scrape(stack).values()
        for metric in metrics
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_what_is_shown_is_what_the_page_says(stack: Stack) -> None:
    organization, dataset = unique("acme"), unique("secret-dataset")
    put_all(stack, dataset, [Picture("a.jpg", jpeg(8, 8))], organization=organization)
    export = create(stack, dataset, format="coco", organization=organization)
    watch(stack, export.id, organization)
    client = stack.http("viewer", organization)
    for path in (f"/exports/{export.id}", f"/exports/{dataset}/none", "/exports/", "/odd"):
        client.get(f"/api/v1/developer{path}")
    until(lambda: value(stack, "cartouche_runnable_steps") >= 0)

    shown = scrape(stack)
    found: dict[str, set[str]] = {}
    for metrics in shown.values():
        for metric in metrics:
            if not metric.name.startswith("cartouche_"):
                continue
            name = metric.name + ("_total" if metric.type == "counter" else "")
            for sample in metric.samples:
                found.setdefault(name, set()).update(set(sample.labels) - {"le"})
    assert set(found) == set(DOCUMENTED)
    assert {name: labels for name, labels in found.items() if labels} == {
        name: DOCUMENTED[name] for name, labels in found.items() if labels
    }
    everything = "".join(stack.look(name, "/metrics").text for name in stack.processes)
    for told in (organization, dataset, export.id, export.name, stack.key("viewer", organization)):
        assert told not in everything


def test_work_is_counted_where_it_is_done(stack: Stack) -> None:
    dataset = unique("counted")
    counted = {
        "images": ("cartouche_images_imported_total", {"result": "created"}, 3),
        "created": ("cartouche_exports_created_total", {"format": "yolo"}, 2),
        "completed": (
            "cartouche_exports_ended_total",
            {"format": "yolo", "status": "completed"},
            1,
        ),
        "failed": (
            "cartouche_exports_ended_total",
            {"format": "yolo", "status": "failed", "error_code": "selection_empty"},
            1,
        ),
        "blame": ("cartouche_steps_total", {"step": "plan", "outcome": "data"}, 1),
        "done": ("cartouche_steps_total", {"step": "plan", "outcome": "done"}, 1),
        "verified": ("cartouche_stage_duration_seconds_count", {"stage": "verify"}, 1),
        "duration": ("cartouche_export_duration_seconds_count", {"format": "yolo"}, 1),
        "rpcs": (
            "cartouche_rpcs_total",
            {"method": "exports.v1.ExportService/CreateExport", "code": "OK"},
            2,
        ),
        "not found": (
            "cartouche_http_requests_total",
            {
                "method": "GET",
                "route": "/api/v1/developer/exports/{export}",
                "status": "404",
            },
            1,
        ),
    }
    before = {what: value(stack, name, **labels) for what, (name, labels, _) in counted.items()}
    pictures = [Picture(f"{n}.jpg", jpeg(8, 8)) for n in range(3)]
    put_all(stack, dataset, pictures)
    export = completed(stack, dataset, format="yolo")
    failed(stack, dataset, format="yolo", status_filter="complete")
    answer = stack.http("viewer").get(
        "/api/v1/developer/exports/00000000-0000-0000-0000-000000000000"
    )
    assert answer.status_code == 404

    def grown() -> dict[str, float]:
        return {
            what: value(stack, name, **labels) - before[what]
            for what, (name, labels, _) in counted.items()
        }

    expected = {what: by for what, (_, _, by) in counted.items()}
    until(lambda: grown() == expected)
    assert value(stack, "cartouche_stage_bytes_total", stage="verify") >= export.file_size
    assert value(stack, "cartouche_worker_fit") == len(stack.workers or [stack])


def counted_by_the_database(database: Database) -> int:
    """What an autoscaler reads that asks the database itself."""
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT steps FROM runnable_steps").scalar_one())


def test_the_backlog_counts_what_may_be_claimed_now(empty_record: Database) -> None:
    first, second = (Tenant.make(empty_record, name) for name in ("first", "second"))
    assert backlog(empty_record, CAP).runnable == {"short": 0, "long": 0}
    assert counted_by_the_database(empty_record) == 0
    first.planned(10)
    second.create(Lane.short)
    second.create(Lane.long)
    found = backlog(empty_record, CAP)
    assert found.runnable == {"short": 1, "long": 11}
    assert found.running == 0
    assert found.unfinished == {("processing", "coco"): 1, ("pending", "coco"): 2}
    assert set(found.oldest) == {"processing", "pending"}
    assert all(0 <= age < 60 for age in found.oldest.values())

    # Short ones first, and no more than the caps leave room for.
    assert backlog(empty_record, 1).runnable == {"short": 1, "long": 1}
    held = take(empty_record, (Lane.long,))
    assert held is not None
    assert backlog(empty_record, CAP).running == 1
    assert backlog(empty_record, 4).runnable["short"] == 1
    claims.wait(empty_record, held, 60)
    assert sum(backlog(empty_record, CAP).runnable.values()) == 11
    assert counted_by_the_database(empty_record) == 11
