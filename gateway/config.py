"""What the gateway needs to know; handed in, never read from the environment here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from gateway.tracing import Trace, no_trace

#: Gives what a channel to the server is secured with: another object once it shall be replaced;
#: None: nothing, all goes in plain text.
Credentials: TypeAlias = Callable[[], grpc.ChannelCredentials | None]


def no_credentials() -> None:
    """Plain text."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a client gets."""

    #: For a request's line and headers, from the connection's or the request's first byte.
    head: float = 10.0
    #: For the next request on a connection that is kept open: longer than clients and load
    #: balancers keep theirs (httpx 5, nginx and AWS 60, Google Cloud 600), as a request that meets
    #: the end of its connection gets no answer. Whoever is new takes the place of the idle.
    idle: float = 620.0
    #: For taking an answer.
    answer: float = 30.0
    #: For the rest of a body that was answered before its end.
    rest: float = 5.0
    #: For reading why they were refused.
    leaving: float = 2.0
    #: For a body.
    body: float = 30.0


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The gateway's settings."""

    #: gRPC address of the server: `host:port`, or `dns:///host:port` for many replicas.
    server: str
    credentials: Credentials = no_credentials
    #: The name in the server's certificate; empty: the host of its address.
    server_name: str = ""
    #: Whether the console is served at `/`.
    console: bool = True
    #: Scheme, host and port of the store's links, for the console.
    store_origins: tuple[str, ...] = ()
    #: Addresses or networks whose X-Forwarded-* headers are believed; `*`: everyone's.
    trusted_proxies: tuple[str, ...] = ()
    #: Bytes of a request body; larger ones are answered with 413.
    max_body_bytes: int = 1024 * 1024
    #: Bytes of a body that are read before the server has seen the key.
    max_strange_bytes: int = 64 * 1024
    #: How long clients are waited for.
    patience: Patience = Patience()
    #: Seconds until a call of the server is given up with 504: longer than the server lets calls
    #: stand in line and then takes for one, and shorter than clients wait, which is mostly 30.
    call_timeout: float = 25.0
    #: Seconds that running requests get to end at shutdown.
    shutdown_grace: int = 10
    #: Connections at most; None: about half as many as the process may open files.
    max_connections: int | None = None
    #: Seconds in which a key that the server took is not shown to it again for a request that
    #: the gateway refuses by itself.
    key_memory: float = 5.0
    #: Makes a span of each request.
    trace: Trace = no_trace
