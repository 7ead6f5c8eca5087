"""Serves the gateway over HTTP/1.1, alone or beside other work in one event loop."""

import asyncio
import math
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import uvicorn

from gateway import connections
from gateway.app import create_app
from gateway.config import GatewayConfig

#: Connections that wait to be accepted.
_BACKLOG = 2048


class _Uvicorn(uvicorn.Server):
    """uvicorn that leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listening_socket(host: str, port: int) -> socket.socket:
    """A TCP socket that listens; port 0: any free one.

    It names its protocol, and so do the connections that it accepts: asyncio turns Nagle's
    algorithm off only on those. With it, every answer on a connection that is kept open
    waits some 40 ms for the client's delayed acknowledgement.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(
    config: GatewayConfig,
    host: str,
    port: int,
    on_ready: Callable[[int], None] | None = None,
) -> None:
    """Serves until the task is cancelled; then lets running requests end.

    Listens on `host` and `port` (0: any free one) and tells `on_ready` the port when it
    does. Signals are the caller's: cancel the task on SIGTERM.

    Raises:
        OSError: the address cannot be listened on.
    """
    most = connections.room()
    if config.max_connections is not None:
        most = min(most, config.max_connections)
    app = create_app(config)
    with listening_socket(host, port) as listener:
        server = _Uvicorn(
            uvicorn.Config(
                app,
                http=connections.protocol(most, config.max_body_bytes, config.patience),
                timeout_keep_alive=math.ceil(config.patience.idle),
                # asyncio listens with what it accepts at once.
                backlog=connections.AT_ONCE,
                lifespan="on",
                ws="none",
                proxy_headers=bool(config.trusted_proxies),
                forwarded_allow_ips=list(config.trusted_proxies),
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=config.shutdown_grace,
            )
        )
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            listener.listen(_BACKLOG)
            if on_ready is not None and server.started:
                on_ready(listener.getsockname()[1])
            await asyncio.shield(serving)
            raise RuntimeError("the gateway did not start; its log says why")
        except asyncio.CancelledError:
            app.state.streams.end()
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving
            raise
