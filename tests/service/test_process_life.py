"""`cartouche run` from its first moment to its last: told to end, killed, or without its store."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, bbox, noise_jpeg, put_all, unique
from tests.exports import create, download, unzip, watch
from tests.processes import environment
from tests.stack import CARTOUCHE, Embedded

pytestmark = pytest.mark.timeout(300)


def cartouche(home: Path, command: str, **settings: str) -> "subprocess.Popen[str]":
    home.mkdir(parents=True)
    env = environment(
        **{
            "CARTOUCHE_HOME": str(home / "home"),
            "CARTOUCHE_HTTP_PORT": "0",
            "CARTOUCHE_GRPC_PORT": "0",
            **settings,
        }
    )
    return subprocess.Popen(
        [str(CARTOUCHE), command],
        env=env,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_over(home: Path) -> list[psutil.Process]:
    """Processes that serve a folder of `home`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(home) in w for w in words):
            found.append(process)
    return found


def wait_for_nobody(home: Path) -> None:
    deadline = time.monotonic() + 20
    while left := left_over(home):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_early_end_is_no_error(tmp_path: Path, number: signal.Signals) -> None:
    """At moments from the first import to the import of the demo dataset."""

    def ended_after(seconds: float) -> str:
        home = tmp_path / str(seconds)
        process = cartouche(home, "run")
        try:
            time.sleep(seconds)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        assert process.returncode in (0, 130, -number), said
        wait_for_nobody(home)
        return said

    # Python itself takes the first hundredths of a second, before any line of ours.
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(ended_after, (0.15, 1.2, 2.5)):
            assert "Traceback" not in said


@pytest.mark.parametrize("port", ["HTTP", "GRPC"])
def test_a_taken_port_is_named(tmp_path: Path, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        process = cartouche(tmp_path / "taken", "run", **{f"CARTOUCHE_{port}_PORT": number})
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("cartouche: ")
    assert f"127.0.0.1:{number}" in last
    assert f"CARTOUCHE_{port}_PORT" in last


@pytest.fixture
def large() -> Iterator[tuple[Embedded, str]]:
    """Some 40 MB, which take a second or two to be built."""
    with Embedded("life") as stack:
        dataset = unique("large")
        boxes = [bbox("car", x=k) for k in range(50)]
        put_all(stack, dataset, [Picture(f"{n}.jpg", noise_jpeg(n), boxes) for n in range(45)])
        yield stack, dataset


def exports_of(stack: Embedded, dataset: str) -> list[str]:
    """Some exports that begin to be built."""
    made = [create(stack, dataset, include_images=True, format=f) for f in ("coco", "csv", "yolo")]
    time.sleep(0.5)
    return [export.id for export in made]


def rclone_of(stack: Embedded) -> psutil.Process:
    children = psutil.Process(stack.processes["run"].pid).children(recursive=True)
    return next(child for child in children if child.name() == "rclone")


def check_completed(stack: Embedded, ids: list[str]) -> None:
    for export_id in ids:
        last = watch(stack, export_id)[-1]
        assert last.status == pb.EXPORT_STATUS_COMPLETED, last
        assert unzip(download(stack, export_id)).namelist()


def test_exports_outlive_every_end(large: tuple[Embedded, str]) -> None:
    stack, dataset = large
    run = stack.processes["run"]
    # The store alone is killed, as the system does where memory is short.
    ids = exports_of(stack, dataset)
    rclone_of(stack).kill()
    check_completed(stack, ids)
    # All is told to end.
    ids = exports_of(stack, dataset)
    assert run.stop() == 0
    assert "Traceback" not in run.err.read_text()
    run.start()
    run.wait_ready()
    check_completed(stack, ids)
    # All but the store is killed, which must follow.
    ids = exports_of(stack, dataset)
    store = rclone_of(stack)
    os.kill(run.pid, signal.SIGKILL)
    assert psutil.wait_procs([store], timeout=20) == ([store], [])
    wait_for_nobody(stack.folder)
    run.start()
    run.wait_ready()
    check_completed(stack, ids)


#: Ends of one `cartouche run` in the test below; more of them by hand.
ROUNDS = int(os.environ.get("CARTOUCHE_TEST_ENDS", "6"))
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)


def asked(stack: Embedded, method: str, path: str, body: object = None) -> Any:
    """What the gateway answers to a client that has not been there before."""
    answer = httpx.request(
        method,
        f"{stack.base_url}/api/v1/developer/exports/{path}",
        json=body,
        headers={"X-API-Key": stack.key("member")},
        timeout=30,
        trust_env=False,
    )
    answer.raise_for_status()
    return answer.json()


def test_any_moment_is_a_good_one_to_end(tmp_path: Path) -> None:
    """From the first migration to exports under way, on one state that has to bear it all.

    CARTOUCHE_TEST_ENDS=200 pytest tests/service/test_process_life.py -k moment
    """
    chance = random.Random(20_261_129)
    stack = Embedded("moment")
    run = stack.spawn("run", "run")
    made: list[str] = []
    try:
        for number in range(ROUNDS):
            if not run.running:
                run.start()
            if number % 2:
                run.wait_ready(120)
                for name in (unique("moment"), unique("moment")):
                    body = {"dataset_name": "street-scenes", "name": name, "include_images": True}
                    made.append(asked(stack, "POST", "", body)["id"])
                time.sleep(chance.uniform(0, 0.7))
            else:
                # Python itself takes the first hundredths of a second.
                time.sleep(chance.uniform(0.15, 3))
            end = ENDS[number % len(ENDS)]
            process = psutil.Process(run.pid)
            os.kill(run.pid, end)
            assert psutil.wait_procs([process], timeout=60)[1] == [], f"{end!r}\n{run.log()}"
            wait_for_nobody(stack.folder)
            assert "Traceback" not in run.err.read_text(), run.log()
        run.start()
        run.wait_ready(120)
        deadline = time.monotonic() + 120
        for export_id in made:
            while (export := asked(stack, "GET", export_id))["status"] != "completed":
                assert export["status"] != "failed", export
                assert time.monotonic() < deadline, export
                time.sleep(0.2)
        assert run.stop() == 0
    finally:
        stack.close()
