"""Alerts fire when they should, and every query asks for what the running parts show."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import completed, failed
from tests.needs import need_tool
from tests.parts import MinIO
from tests.processes import Process, environment, free_port
from tests.stack import Production

pytestmark = pytest.mark.timeout(180)

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "operations.md").read_text()
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
_SELECTOR = re.compile(r"\b((?:cartouche|minio|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=|!=|=~|!~)\s*"([^"]*)"')


def queries() -> Iterator[tuple[str, str]]:
    """What each alert and each panel asks."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], target["expr"].replace("$__rate_interval", "15s")


def test_rules_fire_when_they_should() -> None:
    promtool = need_tool("promtool")
    for words in (("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")):
        done = subprocess.run(
            [promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_and_explained() -> None:
    tried = yaml.safe_load((PROMETHEUS / "rules_test.yaml").read_text())["tests"]
    silent = {test["alertname"] for test in tried[0]["alert_rule_test"]}
    for rule in RULES:
        assert rule["alert"] in silent
        assert f"\n### {rule['alert']}\n" in PAGE
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
    assert len(silent) == len(RULES)


def test_every_word_that_is_asked_for_is_on_the_page() -> None:
    """A value that no label ever has would keep an alert silent for ever."""
    for title, query in queries():
        for _, matchers in _SELECTOR.findall(query):
            for _, value in _MATCHER.findall(matchers):
                for word in re.findall(r"[A-Za-z_]+", value):
                    assert re.search(rf"\b{word}\b", PAGE), (title, word)


@pytest.fixture(scope="module")
def prometheus(
    production: Production, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A real Prometheus that scrapes every process, and the store where it can."""
    program = need_tool("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    targets = [
        f"127.0.0.1:{port}"
        for name, port in production.metrics_ports.items()
        if production.processes[name].running
    ]
    jobs: list[dict[str, Any]] = [
        {"job_name": "cartouche", "static_configs": [{"targets": targets}]}
    ]
    if isinstance(production.store, MinIO):
        jobs.append(
            {
                "job_name": "minio",
                "metrics_path": "/minio/v2/metrics/cluster",
                "static_configs": [{"targets": [f"127.0.0.1:{production.store.port}"]}],
            }
        )
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": [str(PROMETHEUS / "rules.yaml")],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = Process(
        "prometheus",
        [
            program,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        folder,
        environment(),
    )
    process.start()
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=30)
    try:
        process.wait_until(lambda: _is_up(client, len(targets) + len(jobs) - 1))
        yield client
    finally:
        client.close()
        process.stop()


def _is_up(client: httpx.Client, targets: int) -> bool:
    try:
        answer = client.get("/query", params={"query": "sum(up)"}).raise_for_status().json()
    except httpx.HTTPError:
        # Not before it has read its own data.
        return False
    result = answer["data"]["result"]
    return bool(result) and float(result[0]["value"][1]) == targets


def test_every_query_asks_for_what_is_shown(
    production: Production, prometheus: httpx.Client
) -> None:
    dataset = unique("monitored")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    completed(production, dataset, include_images=True)
    failed(production, dataset, status_filter="complete")
    production.http("viewer").get("/api/v1/developer/exports/")
    # Twice scraped, so that there are rates.
    time.sleep(3)
    labels: dict[str, set[str]] = {}
    for series in prometheus.get("/series", params={"match[]": '{__name__=~".+"}'}).json()["data"]:
        labels.setdefault(series["__name__"], set()).update(series)
    is_minio = isinstance(production.store, MinIO)
    empty = set()
    for title, query in queries():
        answer = prometheus.get("/query", params={"query": query}).json()
        assert answer["status"] == "success", (title, answer)
        for name, matchers in _SELECTOR.findall(query):
            if name.startswith("minio_") and not is_minio:
                continue
            assert name in labels, (title, name)
            assert {label for label, _ in _MATCHER.findall(matchers)} <= labels[name], (title, name)
        if not answer["data"]["result"] and title not in {rule["alert"] for rule in RULES}:
            empty.add(title)
    # What went wrong nowhere.
    assert empty <= {"REST errors by route", "Calls of the store that went wrong"}
    # And all is well with a Cartouche that works.
    firing = prometheus.get("/query", params={"query": 'ALERTS{alertstate="firing"}'}).json()
    assert firing["data"]["result"] == []
