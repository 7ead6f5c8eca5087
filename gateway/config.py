"""What the gateway needs to know; handed in, never read from the environment here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The gateway's settings."""

    #: gRPC address of the server: `host:port`, or `dns:///host:port` for many replicas.
    server: str
    #: Addresses or networks whose X-Forwarded-* headers are believed; `*`: everyone's.
    trusted_proxies: tuple[str, ...] = ()
    #: Bytes of a request body; larger ones are answered with 413.
    max_body_bytes: int = 1024 * 1024
    #: Seconds until a call of the server is given up with 504.
    call_timeout: float = 15.0
    #: Seconds that running requests get to end at shutdown.
    shutdown_grace: int = 10
    #: Seconds in which a key that the server took is not shown to it again for a request that
    #: the gateway refuses by itself.
    key_memory: float = 5.0
