"""What people meet first: `cartouche run` on an empty folder, `cartouche demo`, what they print."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from services.demo.dataset.scenes import IMAGE_COUNT
from tests.processes import environment, free_port
from tests.stack import CARTOUCHE, CartoucheProcess

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def env() -> dict[str, str]:
    """What processes in the same folder share."""
    ports = {f"CARTOUCHE_{name}_PORT": str(free_port()) for name in ("HTTP", "GRPC")}
    return environment(CARTOUCHE_HOME="the state", **ports)


@pytest.fixture
def run(env: dict[str, str], tmp_path: Path) -> Iterator[CartoucheProcess]:
    """`cartouche run`, not started."""
    process = CartoucheProcess("run", ["run"], tmp_path, env)
    yield process
    process.stop()


def test_who_is_answered_finds_the_whole_dataset(
    run: CartoucheProcess, env: dict[str, str], tmp_path: Path
) -> None:
    base_url = f"http://127.0.0.1:{env['CARTOUCHE_HTTP_PORT']}"
    answers = []

    def answered() -> bool:
        with suppress(httpx.TransportError):
            keys = json.loads((tmp_path / "the state" / "keys.json").read_text())
            answers.append(_get(f"{base_url}/api/v1/developer/datasets/", keys["viewer"]))
        return bool(answers)

    run.start()
    run.wait_until(lambda: (tmp_path / "the state" / "keys.json").exists())
    run.wait_until(answered)
    (answer,) = answers
    assert [(d["name"], d["image_count"]) for d in answer.json()["datasets"]] == [
        ("street-scenes", IMAGE_COUNT)
    ]
    run.wait_ready()
    lines = run.printed().splitlines()
    assert lines[0] == f"Console: {base_url}/"
    assert _console_opens(lines[0].split()[1], key=_printed_by(lines, tmp_path))


def test_the_demo_ends_with_the_way_to_the_console(env: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [CARTOUCHE, "demo"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert (tmp_path / "street-scenes-coco.zip").exists()
    *_, title, command, _, key = done.stdout.splitlines()
    (address,) = re.findall(r"http://\S+", title)
    # As somebody does who copies the two lines.
    shell = CartoucheProcess("shell", ["-c", f"exec env {command}"], tmp_path, env, Path("/bin/sh"))
    shell.start()
    try:
        shell.wait_ready()
        told = _printed_by([key], tmp_path)
        assert _console_opens(address, told)
        exports = _get(f"{address}api/v1/developer/exports/", told).json()
        assert [export["name"] for export in exports] == ["demo-1"]
    finally:
        shell.stop()


def _get(url: str, key: str = "") -> httpx.Response:
    answer = httpx.get(url, headers={"X-API-Key": key}, timeout=30, trust_env=False)
    return answer.raise_for_status()


def _printed_by(lines: list[str], folder: Path) -> str:
    """The key that the first line prints which is a command for that."""
    command = next(line for line in lines if line.startswith("  python3 "))
    shown = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=True
    )
    return shown.stdout.strip()


def _console_opens(address: str, key: str) -> bool:
    page = _get(address).text
    role = _get(f"{address}api/v1/developer/exports/", key).headers["X-API-Key-Role"]
    return "Cartouche" in page and role == "owner"
