"""The examples that wait for exports: by asking, by being told, and in a nightly workflow."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conformance.conftest import Install, client_environment, run_client
from tests.conformance.environments import REQUESTS, Environment
from tests.conformance.material import ANNOTATIONS, IMAGES, check_archive, make_dataset
from tests.datasets import unique
from tests.exports import completed
from tests.needs import need_tool
from tests.processes import Process, free_port
from tests.stack import Embedded
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN_HERE = {"polling.py", "webhook.py", "nightly-export.yml"}
RECEIVER = Environment("webhook-example", ("requests", "standardwebhooks>=1.1,<2"))


@pytest.fixture(scope="module")
def stack() -> Iterator[Embedded]:
    """A Cartouche that may call receivers on this machine."""
    settings = {"CARTOUCHE_WEBHOOK_ALLOW": "127.0.0.1", "CARTOUCHE_RECONCILE_INTERVAL": "0.5"}
    with Embedded("waiting", settings) as running:
        yield running


def test_polling_and_events_end_with_the_export(
    stack: Embedded, install: Install, tmp_path: Path
) -> None:
    make_dataset(stack, dataset := unique("polled"), stack.organization)
    command = [install(REQUESTS, "python"), str(EXAMPLES / "polling.py"), dataset]
    done = run_client(command, tmp_path, _env(stack))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    for way, name in (("polling", "wait_by_polling"), ("events", "wait_by_events")):
        assert f"{way}: completed 100%" in done.stdout
        assert f"{name}: completed, {IMAGES} images" in done.stdout


def test_the_receiver_takes_what_is_signed_and_downloads(
    stack: Embedded, install: Install, tmp_path: Path
) -> None:
    make_dataset(stack, dataset := unique("told"), stack.organization)
    url = f"http://127.0.0.1:{(port := free_port())}/cartouche"
    hooks = "/api/v1/developer/webhooks/"
    made = stack.http().post(hooks, json={"url": url, "events": ["export.completed"]}).json()
    python = install(RECEIVER, "python")
    env = client_environment(_env(stack) | {"CARTOUCHE_WEBHOOK_SECRET": made["secret"]})
    receiver = Process("receiver", [python, EXAMPLES / "webhook.py", str(port)], tmp_path, env)
    receiver.start()
    try:
        receiver.wait_until(lambda: "ready" in receiver.printed())
        forged = httpx.post(url, json={"type": "export.completed"}, trust_env=False)
        assert forged.status_code == 400
        export = completed(stack, dataset, "heard", format="coco", include_images=True)
        until(lambda: f"{dataset}/heard: downloaded" in receiver.printed())
        check_archive(tmp_path / f"{export.id}.zip", IMAGES, ANNOTATIONS, with_images=True)
    finally:
        receiver.stop()
        stack.http().delete(f"{hooks}{made['id']}").raise_for_status()


def test_the_workflow_exports_downloads_and_keeps(stack: Embedded, tmp_path: Path) -> None:
    for tool in ("curl", "jq", "unzip"):
        need_tool(tool)
    job = _workflow()["jobs"]["export"]
    make_dataset(stack, job["env"]["DATASET"], organization := unique("nightly"))
    secrets = {
        "vars.CARTOUCHE_URL": stack.base_url,
        "secrets.CARTOUCHE_API_KEY": stack.key("member", organization),
        "github.run_id": "1234567890",
        "github.run_attempt": "1",
    }
    env = {name: _filled(value, secrets) for name, value in job["env"].items()}
    *steps, keep = job["steps"]
    for step in steps:
        done = _step(step, tmp_path, env)
        assert done.returncode == 0, f"{step['name']}: {done.stdout}{done.stderr}"
        assert env["CARTOUCHE_API_KEY"] not in done.stdout + done.stderr
    assert keep["uses"].startswith("actions/upload-artifact@")
    check_archive(tmp_path / keep["with"]["path"], IMAGES, ANNOTATIONS, with_images=True)
    # An export that cannot be made fails the run, with the reason.
    again = _step(steps[0], tmp_path, env)
    assert again.returncode != 0
    assert "already" in again.stdout + again.stderr


def test_the_workflow_says_when_the_export_failed(stack: Embedded, tmp_path: Path) -> None:
    need_tool("jq")
    make_dataset(stack, dataset := unique("empty"), stack.organization)
    body = {"dataset_name": dataset, "name": "none", "status_filter": "review"}
    stack.http().post("/api/v1/developer/exports/", json=body).raise_for_status()
    env = {
        "EXPORTS": f"{stack.base_url}/api/v1/developer/exports",
        "CARTOUCHE_API_KEY": stack.key("member"),
        "DATASET": dataset,
        "NAME": "none",
    }
    wait = _workflow()["jobs"]["export"]["steps"][1]
    done = _step(wait, tmp_path, env)
    assert done.returncode == 1
    assert done.stdout.startswith("::error::")


def _env(stack: Embedded) -> dict[str, str]:
    return {"CARTOUCHE_URL": stack.base_url, "CARTOUCHE_API_KEY": stack.key("owner")}


def _workflow() -> Any:
    # YAML 1.1 takes the key `on` for a boolean; GitHub does not.
    found = yaml.load((EXAMPLES / "nightly-export.yml").read_text(), yaml.BaseLoader)
    assert set(found["on"]) == {"schedule", "workflow_dispatch"}
    assert found["defaults"]["run"]["shell"] == "bash"
    return found


def _filled(text: str, secrets: dict[str, str]) -> str:
    """A value as GitHub has it; an expression that the test does not know is an error."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: secrets[found[1]], text)


def _step(step: Any, folder: Path, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Runs a step as GitHub does with `shell: bash` (docs.github.com/actions, workflow syntax)."""
    script = folder / "step.sh"
    # Expressions in a script are put in as they are: a way in for whoever chooses a name.
    assert "${{" not in step["run"]
    script.write_text(step["run"])
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return run_client(command, folder, env)
