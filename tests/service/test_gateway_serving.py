"""How the gateway listens and ends, on real sockets."""

import asyncio
import os
import socket
from contextlib import suppress
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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_do_not_wait_for_acknowledgements(host: str) -> None:
    """On the event loop of every `cartouche` command, asyncio's own."""
    need_address(host)

    async def connect() -> int:
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(AWAY, host, 0, port.set_result))
        try:
            reader, writer = await asyncio.open_connection(host, await port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            with accepted_from(writer.get_extra_info("sockname")) as accepted:
                option = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            await writer.wait_closed()
            return option
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    assert asyncio.run(connect())


def test_a_taken_address_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            asyncio.run(serve(AWAY, "127.0.0.1", port))
