"""The embedded object store: a real rclone, started and ended by Cartouche."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from services.storage import ObjectStore, StorageConfig
from services.storage.embedded import EmbeddedStore, EmbeddedStoreError
from tests.processes import accepts, environment


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path)
    yield store
    store.stop()


def port_of(config: StorageConfig) -> int:
    return int(config.endpoint.rpartition(":")[2])


def servers_of(home: Path) -> list[psutil.Process]:
    """The processes that serve the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if (
            str(home / "store") in (process.info["cmdline"] or ())
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ):
            found.append(process)
    return found


def wait_for_no_server(home: Path) -> None:
    deadline = monotonic() + 10
    while servers_of(home):
        assert monotonic() < deadline, servers_of(home)
        sleep(0.05)


def test_it_serves_and_a_second_start_finds_everything_again(
    embedded: EmbeddedStore, tmp_path: Path
) -> None:
    config = embedded.start()
    store = ObjectStore(config)
    store.ready()
    upload = store.create_upload("a/b.zip")
    etags = [(n, store.upload_part("a/b.zip", upload, n, 3, b"%03d" % n)) for n in (1, 2)]
    store.complete_upload("a/b.zip", upload, etags)
    link = store.sign_download("a/b.zip", "b.zip", timedelta(minutes=5))
    store.close()
    embedded.stop()
    embedded.stop()
    wait_for_no_server(tmp_path)
    again = EmbeddedStore(tmp_path)
    assert again.start() == config
    try:
        with urllib.request.urlopen(link) as answer:
            assert answer.read() == b"001002"
    finally:
        again.stop()


def test_its_keys_are_secret_and_its_own(embedded: EmbeddedStore, tmp_path: Path) -> None:
    config = embedded.start()
    assert (tmp_path / "store.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    commands = [" ".join(process.cmdline()) for process in servers_of(tmp_path)]
    assert commands
    assert not [command for command in commands if config.secret_key in command]
    assert config.secret_key not in embedded.log_path.read_text()


def test_another_port_where_the_old_one_is_taken(embedded: EmbeddedStore, tmp_path: Path) -> None:
    first = embedded.start()
    embedded.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port_of(first)))
        other.listen()
        second = embedded.start()
    assert port_of(second) != port_of(first)
    assert second.secret_key == first.secret_key
    ObjectStore(second).ready()


@pytest.mark.parametrize("with_keeper", [False, True])
def test_it_dies_with_a_killed_parent_and_the_next_start_takes_its_place(
    embedded: EmbeddedStore, tmp_path: Path, with_keeper: bool
) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from services.storage.embedded import EmbeddedStore\n"
        "config = EmbeddedStore(pathlib.Path(sys.argv[1])).start()\n"
        "print(config.endpoint, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env=environment(),
    )
    with parent:
        assert parent.stdout is not None
        endpoint = parent.stdout.readline().strip()
        assert accepts(int(endpoint.rpartition(":")[2]))
        keeper = rclone_of(tmp_path).parent()
        assert keeper is not None
        os.kill(parent.pid, signal.SIGKILL)
        if with_keeper:
            keeper.kill()
        parent.wait()
    assert embedded.start().endpoint == endpoint
    assert len([p for p in servers_of(tmp_path) if p.name() == "rclone"]) == 1
    embedded.stop()
    wait_for_no_server(tmp_path)


def rclone_of(home: Path) -> psutil.Process:
    """The server itself, once there is one."""
    deadline = monotonic() + 30
    while True:
        for process in servers_of(home):
            with suppress(psutil.NoSuchProcess):
                if process.name() == "rclone":
                    return process
        assert monotonic() < deadline
        sleep(0.02)


@pytest.mark.parametrize("victim", ["server", "keeper"])
def test_one_that_is_killed_is_started_again(
    embedded: EmbeddedStore, tmp_path: Path, victim: str
) -> None:
    config = embedded.start()
    store = ObjectStore(config)
    store.put(store.images_bucket, "k", b"x")
    for _ in range(3):
        server = rclone_of(tmp_path)
        keeper = server.parent()
        assert keeper is not None
        (server if victim == "server" else keeper).kill()
        psutil.wait_procs([server], timeout=10)
        assert not server.is_running()
        assert rclone_of(tmp_path) != server
        deadline = monotonic() + 30
        while not accepts(port_of(config)):
            assert monotonic() < deadline
            sleep(0.02)
        assert store.get(store.images_bucket, "k") == b"x"
    store.close()
    embedded.stop()
    wait_for_no_server(tmp_path)


def test_a_server_that_does_not_start_says_why(embedded: EmbeddedStore, tmp_path: Path) -> None:
    embedded.start()
    embedded.stop()
    path = tmp_path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"access_key": 'a"b'}))
    with pytest.raises(EmbeddedStoreError, match=r"(?s)store\.log, ends with:\n.*auth.key"):
        embedded.start()
    wait_for_no_server(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"port": 1}', "null"])
def test_damaged_keys_are_named(embedded: EmbeddedStore, tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(EmbeddedStoreError, match=r"store\.json is damaged .*delete it"):
        embedded.start()


def test_settings_of_another_rclone_change_nothing(
    embedded: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    monkeypatch.setenv("RCLONE_ADDR", "127.0.0.1:1")
    store = ObjectStore(embedded.start())
    store.put(store.images_bucket, "k", b"x")
    assert store.get(store.images_bucket, "k") == b"x"
    store.close()
