"""What each process says of its health is true, in both directions."""

import socket
from datetime import timedelta

import pytest

from services.database.engine import Database
from tests.needs import postgresql_class
from tests.parts import Rclone, Redis
from tests.service.record import Tenant, take
from tests.stack import Production, Stack
from tests.waiting import until
from workers.leases import LeaseKeeper

pytestmark = pytest.mark.timeout(180)


def faults(stack: Stack, name: str, path: str = "/readyz") -> set[str]:
    """What the process says is wrong; its status says the same."""
    answer = stack.look(name, path)
    found = set(answer.json().get("faults", ()))
    assert answer.status_code == (503 if found else 200)
    assert answer.json()["status"] == ("unavailable" if found else "ok")
    return found


def test_what_is_away_is_named_until_it_is_back() -> None:
    database, broker, store = postgresql_class()(), Redis(), Rclone()
    parts = (database, broker, store)
    try:
        for part in parts:
            part.start()
        with Production(database.create_database(), broker.url, store, workers=1) as stack:
            everybody: dict[str, set[str]] = {"serve": set(), "gateway": set(), "worker-1": set()}
            until(lambda: {name: faults(stack, name) for name in everybody} == everybody, 60)

            for part in parts:
                part.kill()
            # The server makes exports without a broker and a store.
            gone = {
                "serve": {"database"},
                "gateway": {"server"},
                "worker-1": {"database", "broker", "object store"},
            }
            until(lambda: {name: faults(stack, name) for name in gone} == gone, 60)
            # A new start would help nobody.
            assert not any(faults(stack, name, "/healthz") for name in gone)

            for part in parts:
                part.start()
            until(lambda: {name: faults(stack, name) for name in everybody} == everybody, 60)

            worker = stack.workers[0]
            worker.pause()
            with pytest.raises(OSError, match="timed out"):
                ask(stack.metrics_ports["worker-1"])
            worker.resume()
            until(lambda: not faults(stack, "worker-1"), 60)
    finally:
        for part in parts:
            part.remove()


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        return connection.recv(1)


def test_every_part_answers_its_probes(stack: Stack) -> None:
    for name in stack.processes:
        until(lambda name=name: not faults(stack, name), 60)  # type: ignore[misc]
        assert faults(stack, name, "/healthz") == set()
        assert stack.look(name, "/other").status_code == 404
        assert stack.look(name, "/metrics").status_code == 200


def test_a_port_that_is_taken_is_named(stack: Stack) -> None:
    taken = next(iter(stack.metrics_ports.values()))
    stack.env["CARTOUCHE_METRICS_PORT"] = str(taken)
    try:
        failed = stack.command("gateway", check=False, timeout=30)
    finally:
        del stack.env["CARTOUCHE_METRICS_PORT"]
    assert failed.returncode == 1
    assert f"CARTOUCHE_METRICS_PORT is {taken}" in failed.stderr


def test_a_step_that_stands_still_is_no_sign_of_life(empty_record: Database) -> None:
    Tenant.make(empty_record, "tenant").create()
    claim = take(empty_record)
    assert claim is not None
    keeper = LeaseKeeper(empty_record, timedelta(seconds=1), timedelta(seconds=0.2))
    try:
        assert keeper.fault() is None
        with keeper.hold(claim):
            until(lambda: keeper.fault() is not None, 10)
            assert keeper.fault() == "1 steps stand still and have lost their leases"
        assert keeper.fault() is None
    finally:
        keeper.close()
