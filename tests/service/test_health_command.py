"""`cartouche health`: what it says of parts that are well, unwell and away."""

import subprocess
from pathlib import Path

from tests.processes import environment, free_port
from tests.stack import CARTOUCHE, CartoucheProcess, Production


def health(env: dict[str, str], *words: str) -> tuple[int, list[str]]:
    """Its exit code and its lines."""
    done = subprocess.run(
        [CARTOUCHE, "health", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout.splitlines()


def test_what_listens_here_is_asked(production: Production) -> None:
    assert health(production.env) == (0, ["ok     gateway: is ready", "ok     server: is ready"])
    assert health(production.env, "server", "--live") == (0, ["ok     server: is alive"])
    # As in a container of the worker's: nothing else listens there.
    alone = {
        "CARTOUCHE_METRICS_PORT": str(production.metrics_ports["worker-1"]),
        "CARTOUCHE_HTTP_PORT": str(free_port()),
        "CARTOUCHE_GRPC_PORT": str(free_port()),
    }
    assert health(production.env | alone) == (0, ["ok     worker: is ready"])
    code, said = health(production.env, "worker")
    assert (code, "set CARTOUCHE_METRICS_PORT" in said[0]) == (1, True)


def test_a_gateway_without_a_server_is_alive_and_not_ready(tmp_path: Path) -> None:
    env = environment(
        CARTOUCHE_HTTP_PORT=str(free_port()),
        CARTOUCHE_GRPC_PORT=str(free_port()),
        CARTOUCHE_SERVER=f"127.0.0.1:{free_port()}",
    )
    code, said = health(env)
    assert (code, said) == (1, ["no part of Cartouche listens here"])
    gateway = CartoucheProcess("gateway", ["gateway"], tmp_path, env)
    gateway.start()
    try:
        gateway.wait_ready()
        code, said = health(env)
        assert code == 1
        assert [line.split("answers 503")[0] for line in said] == ["WRONG  gateway: "]
        assert health(env, "gateway", "--live") == (0, ["ok     gateway: is alive"])
        # One that stands still is neither.
        gateway.pause()
        code, said = health(env, "gateway", "--live")
        assert (code, said) == (1, ["WRONG  gateway: timed out"])
        code, said = health(env, "server")
        assert (code, said[0].split(",")[0]) == (1, "WRONG  server: no answer: UNAVAILABLE")
    finally:
        gateway.resume()
        assert gateway.stop() == 0
