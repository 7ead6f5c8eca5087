"""How the gateway listens and ends, on real sockets."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gateway.config import GatewayConfig
from gateway.serving import serve

#: Nothing listens there; what is tested here needs no server.
AWAY = GatewayConfig(server="127.0.0.1:9")


def need_address(host: str) -> None:
    """Skips where the machine does not have the loopback address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        pytest.skip(f"{host}: {error}")


def accepted_from(client: tuple[object, ...]) -> socket.socket:
    """This process's end of the connection that comes from the address `client`."""
    for descriptor in Path("/proc/self/fd").iterdir():
        # The one that lists the folder is gone by now.
        with suppress(FileNotFoundError):
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
            copy = socket.socket(fileno=os.dup(int(descriptor.name)))
            with suppress(OSError):
                if copy.getpeername() == client:
                    return copy
            copy.close()
    raise AssertionError(f"no connection comes from {client}")


@asynccontextmanager
async def gateway(config: GatewayConfig, host: str) -> AsyncIterator[int]:
    """A gateway's port; at the end of the block it ends in order."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(config, host, 0, port.set_result))
    try:
        yield await port
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_do_not_wait_for_acknowledgements(host: str) -> None:
    """On the event loop of every `cartouche` command, asyncio's own."""
    need_address(host)

    async def option() -> int:
        async with gateway(AWAY, host) as port:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            with accepted_from(writer.get_extra_info("sockname")) as accepted:
                found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            await writer.wait_closed()
            return found

    assert asyncio.run(option())


def test_a_request_that_never_ends_is_answered_at_the_end_of_the_grace() -> None:
    async def answer() -> bytes:
        async with gateway(GatewayConfig(AWAY.server, shutdown_grace=1), "127.0.0.1") as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /api/v1/developer/exports/ HTTP/1.1\r\nHost: test\r\nX-API-Key: pk\r\n"
                b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"
            )
            # It waits for the body by now.
            assert (await reader.readline()).startswith(b"HTTP/1.1 100")
            assert await reader.readline() == b"\r\n"
            writer.write(b"{")
            await writer.drain()
        sent = await reader.read()
        writer.close()
        await writer.wait_closed()
        return sent

    head, _, body = asyncio.run(answer()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in head.lower()
    assert json.loads(body)["error"] == "unavailable"


def test_a_taken_address_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            asyncio.run(serve(AWAY, "127.0.0.1", port))
