"""Clients of the gRPC port that say nothing, before any key."""

import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from tests.processes import Process, environment

FILES = 1_024
#: A server of its own process, on SQLite; its store is away.
SERVER = """
import asyncio, sys
from pathlib import Path
from services.database.engine import Database
from services.database.migrate import migrate
from services.doorbell import Doorbell, connect_broker
from services.process.signals import run_until_stopped
from services.server.server import Server
from services.settings import Settings
from services.storage import ObjectStore, StorageConfig

settings = Settings(home=Path(sys.argv[1]), grpc_port=0)
database = Database(settings.sqlalchemy_url)
migrate(database)
away = "http://127.0.0.1:9"
store = ObjectStore(StorageConfig(away, away, "us-east-1", "a", "b", "a", "b", "images", "exports"))

async def serving(stopped):
    server = Server(settings, database, Doorbell(connect_broker("memory://")), store)
    await server.start()
    print(server.port, flush=True)
    await stopped.wait()
    await server.stop()

run_until_stopped(serving)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    root = Path(__file__).parents[2]
    limited = ["sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh"]
    env = environment(PYTHONPATH=f"{root}:{root / 'protos'}")
    process = Process(
        "server", [*limited, sys.executable, "-c", SERVER, str(tmp_path / "home")], tmp_path, env
    )
    process.start()
    try:
        process.wait_until(lambda: bool(process.printed().strip()))
        yield process
        assert process.stop() == 0
        assert "Traceback" not in process.err.read_text()
    finally:
        process.kill()


def test_silent_connections_do_not_shut_the_port(server: Process) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * FILES:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * FILES), hard))
    port = int(server.printed())
    try:
        with ExitStack() as stack:
            for _ in range(FILES + 200):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
            with pytest.raises(grpc.RpcError) as refused:
                ExportServiceStub(channel).ListExports(
                    pb.ListExportsRequest(), timeout=60, wait_for_ready=True
                )
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            # Files are left for everything else.
            assert len(list(Path(f"/proc/{server.pid}/fd").iterdir())) < FILES // 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.err.stat().st_size < 20_000
