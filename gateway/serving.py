"""Serves the gateway over HTTP/1.1, alone or beside other work in one event loop."""

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import uvicorn

from gateway.app import create_app
from gateway.config import GatewayConfig


class _Uvicorn(uvicorn.Server):
    """uvicorn that leaves the process's signals alone."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        server = _Uvicorn(
            uvicorn.Config(
                create_app(config),
                http="httptools",
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
            if on_ready is not None and server.started:
                on_ready(listener.getsockname()[1])
            await asyncio.shield(serving)
            raise RuntimeError("the gateway did not start; its log says why")
        except asyncio.CancelledError:
            server.should_exit = True
            with suppress(asyncio.CancelledError):
                await serving
            raise
