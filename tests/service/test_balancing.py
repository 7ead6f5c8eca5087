"""The gateway finds every server behind one name, and shares its calls among them."""

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import free_port
from tests.stack import CartoucheProcess, Production

#: Every address of 127.0.0.0/8 is this machine's own, on Linux.
HOSTS = ("127.0.0.1", "127.0.0.2")


class Names(socketserver.BaseRequestHandler):
    """Answers every question for IPv4 addresses with both, as the DNS of a cluster does for a
    headless Service, and every other with nothing (RFC 1035)."""

    def handle(self) -> None:
        asked, answers = self.request
        end = asked.index(0, 12) + 5
        question, is_a = asked[12:end], asked[end - 4 : end - 2] == b"\x00\x01"
        # A pointer to the name, type A, class IN, 5 seconds, 4 bytes.
        records = [
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04" + socket.inet_aton(host)
            for host in HOSTS
            if is_a
        ]
        header = asked[:2] + b"\x85\x80" + struct.pack("!HHHH", 1, len(records), 0, 0)
        answers.sendto(header + question + b"".join(records), self.client_address)


@pytest.fixture
def name_server() -> Iterator[str]:
    """The address of a DNS server."""
    with socketserver.UDPServer(("127.0.0.1", 0), Names) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def connected_to(gateway: CartoucheProcess, port: int) -> set[str]:
    """The addresses of the servers to which the gateway holds a connection."""
    return {
        str(connection.raddr.ip).removeprefix("::ffff:")
        for connection in psutil.Process(gateway.pid).net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port == port
    }


def test_calls_go_to_every_server_and_none_is_lost_with_one(
    production: Production, tmp_path: Path, name_server: str
) -> None:
    port, http_port = free_port(), free_port()
    servers = {
        host: CartoucheProcess(
            f"serve-{host}",
            ["serve"],
            tmp_path,
            production.env | {"CARTOUCHE_GRPC_HOST": host, "CARTOUCHE_GRPC_PORT": str(port)},
        )
        for host in HOSTS
    }
    settings = {
        "CARTOUCHE_HTTP_PORT": str(http_port),
        "CARTOUCHE_SERVER": f"dns://{name_server}/server.test:{port}",
    }
    gateway = CartoucheProcess("gateway", ["gateway"], tmp_path, production.env | settings)
    try:
        for server in servers.values():
            server.start()
        gateway.start()
        for process in (*servers.values(), gateway):
            process.wait_ready()
        headers = {"X-API-Key": production.key("viewer")}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{http_port}", headers=headers, trust_env=False
        ) as client:

            def answers() -> set[int]:
                path = "/api/v1/developer/exports/"
                return {client.get(path).status_code for _ in range(20)}

            assert answers() == {200}
            deadline = time.monotonic() + 10
            while connected_to(gateway, port) != set(servers):
                assert time.monotonic() < deadline, connected_to(gateway, port)
                time.sleep(0.1)
            assert answers() == {200}
            servers["127.0.0.2"].kill()
            assert answers() == {200}
            assert connected_to(gateway, port) == {"127.0.0.1"}
    finally:
        for process in (gateway, *servers.values()):
            process.kill()
