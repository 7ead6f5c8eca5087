"""The servers that other tests rely on start, answer, come back, and leave nothing behind."""

import io
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pika
import psutil
import psycopg
import pytest
from minio.error import S3Error
from redis import Redis as RedisClient

from tests.needs import need_part
from tests.parts import (
    PARTS,
    MinIO,
    ObjectStore,
    Part,
    PgServerWheel,
    PostgreSQL,
    RabbitMQ,
    Rclone,
    Redis,
)
from tests.processes import Process, ProcessFailed, accepts, environment, free_port

pytestmark = pytest.mark.timeout(180)


def processes_of(part: Part) -> set[int]:
    """Every living process that names the part's folder, whoever its parent is."""
    found = set()
    for process in psutil.process_iter():
        try:
            words = " ".join([*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            continue
        if str(part.folder) in words:
            found.add(process.pid)
    return found


@pytest.fixture(params=PARTS, ids=lambda part: part.__name__)
def part(request: pytest.FixtureRequest) -> Iterator[Part]:
    kind: type[Part] = request.param
    need_part(kind)
    server = kind()
    yield server.start()
    server.remove()
    assert not accepts(server.port)
    assert processes_of(server) == set()
    assert not server.folder.exists()


def ask(part: Part) -> None:
    """One real request, with a real client of the part."""
    match part:
        case PostgreSQL():
            with psycopg.connect(part.create_database()) as connection:
                assert connection.execute("SELECT 41 + 1").fetchone() == (42,)
        case RabbitMQ():
            connection = pika.BlockingConnection(pika.URLParameters(part.url))
            channel = connection.channel()
            channel.queue_declare("ask", durable=True)
            channel.queue_purge("ask")
            channel.confirm_delivery()
            channel.basic_publish("", "ask", b"hello")
            assert channel.basic_get("ask", auto_ack=True)[2] == b"hello"
            connection.close()
        case Redis():
            with RedisClient(port=part.port) as client:
                client.set("ask", "hello")
                assert client.get("ask") == b"hello"
        case ObjectStore():
            store = part.client()
            if not store.bucket_exists("ask"):
                store.make_bucket("ask")
            store.put_object("ask", "a.txt", io.BytesIO(b"hello"), 5)
            link = store.presigned_get_object("ask", "a.txt")
            assert httpx.get(link, trust_env=False).content == b"hello"
        case _:
            raise AssertionError(f"nothing asks {part.title}")


def test_a_part_answers_again_after_each_mishap(part: Part) -> None:
    assert part.version()[-1].isalnum()
    ask(part)
    port = part.port

    part.restart()
    ask(part)

    part.kill()
    assert not accepts(part.port)
    part.start()
    ask(part)

    part.pause()
    assert psutil.Process(part.process.pid).status() == psutil.STATUS_STOPPED
    part.resume()
    ask(part)
    assert part.port == port


def test_a_database_outlives_a_kill() -> None:
    for kind in (PostgreSQL, PgServerWheel):
        need_part(kind)
        server = kind().start()
        try:
            url = server.create_database()
            with psycopg.connect(url) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
            server.kill()
            server.start()
            with psycopg.connect(url) as connection:
                assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
        finally:
            server.remove()


def test_minio_links_are_signed_by_a_user_that_only_reads_one_bucket() -> None:
    need_part(MinIO)
    store = MinIO().start()
    try:
        all_powerful = store.client()
        for bucket in ("exports", "images"):
            all_powerful.make_bucket(bucket)
            all_powerful.put_object(bucket, "a.txt", io.BytesIO(b"hello"), 5)
        narrow = store.client(store.signing_user("exports"))
        link = narrow.presigned_get_object("exports", "a.txt")
        assert httpx.get(link, trust_env=False).content == b"hello"
        foreign = narrow.presigned_get_object("images", "a.txt")
        assert httpx.get(foreign, trust_env=False).status_code == 403
        with pytest.raises(S3Error, match="Access Denied"):
            narrow.put_object("exports", "b.txt", io.BytesIO(b"hello"), 5)
    finally:
        store.remove()


def test_rclone_signs_with_its_only_keys() -> None:
    store = Rclone()
    try:
        assert store.signing_user("exports") == store.credentials
    finally:
        store.remove()


def test_a_server_dies_with_a_test_run_that_is_killed() -> None:
    """The run is another Python, which starts Redis and PostgreSQL and is killed at once."""
    need_part(Redis)
    need_part(PostgreSQL)
    script = (
        "import sys, time; from tests.parts import PostgreSQL, Redis;"
        "parts = [Redis().start(), PostgreSQL().start()];"
        "print(*(p.process.pid for p in parts), *(p.folder for p in parts), flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as run:
        assert run.stdout
        words = run.stdout.readline().split()
        servers = [psutil.Process(int(pid)) for pid in words[:2]]
        processes = servers + [c for s in servers for c in s.children(recursive=True)]
        assert len(processes) > 2
        run.kill()
    deadline = time.monotonic() + 10
    while any(alive(p) for p in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [p.pid for p in processes if alive(p)] == []
    for folder in words[2:]:
        shutil.rmtree(folder)


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def python(tmp_path: Path, script: str) -> Process:
    """A small process that runs `script`."""
    return Process("script", [sys.executable, "-c", script], tmp_path, environment())


def test_a_process_that_ends_at_its_start_is_reported_with_its_log(tmp_path: Path) -> None:
    process = python(tmp_path, "import sys; sys.exit('no port is free')")
    process.start()
    with pytest.raises(ProcessFailed, match=r"ended at its start(.|\n)*no port is free"):
        process.wait_until(lambda: False)


def test_a_process_that_ignores_its_stop_signal_is_killed_and_reported(tmp_path: Path) -> None:
    process = python(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)",
    )
    process.start()
    process.wait_until(lambda: "deaf" in process.printed())
    with pytest.raises(ProcessFailed, match="did not end within"):
        process.stop(timeout=0.2)
    assert not process.running


def test_a_process_that_leaves_a_child_behind_is_reported(tmp_path: Path) -> None:
    process = python(
        tmp_path,
        "import subprocess, time; child = subprocess.Popen(['sleep', '60']);"
        "print(child.pid, flush=True); time.sleep(60)",
    )
    process.start()
    process.wait_until(lambda: process.printed().endswith("\n"))
    child = psutil.Process(int(process.printed()))
    with pytest.raises(ProcessFailed, match=f"left processes behind: {child.pid}"):
        process.stop()
    assert not alive(child)


def test_a_process_shows_only_what_it_printed_since_its_start(tmp_path: Path) -> None:
    process = python(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    for _ in range(2):
        process.start()
        process.wait_until(lambda: process.printed().endswith("\n"))
        assert process.printed() == f"{process.pid}\n"
        process.stop()


def test_ports_are_given_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_a_paused_process_stands_still(tmp_path: Path) -> None:
    process = python(
        tmp_path, "import time\nwhile True: print('tick', flush=True); time.sleep(0.01)"
    )
    process.start()
    process.wait_until(lambda: "tick" in process.printed())
    process.pause()
    time.sleep(0.05)
    before = process.printed()
    time.sleep(0.1)
    assert process.printed() == before
    process.resume()
    process.wait_until(lambda: len(process.printed()) > len(before))
    assert process.stop() == -signal.SIGTERM
