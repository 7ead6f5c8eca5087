"""Whether the gateway of this process can serve: as its own callers see it."""

import http.client

#: Seconds for the gateway, which asks the gRPC server, which has two.
_TIMEOUT = 5.0
#: Where to ask a part that listens everywhere.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class GatewayAway(Exception):
    """The gateway does not answer, or says that it cannot serve."""


def here(host: str) -> str:
    """Where this machine reaches a part that listens at `host`."""
    return _HERE.get(host, host)


def look_at_gateway(host: str, port: int) -> None:
    """Asks the gateway that listens there whether it is ready.

    Raises:
        GatewayAway: it is not.
    """
    connection = http.client.HTTPConnection(here(host), port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise GatewayAway(f"the gateway does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise GatewayAway("the gRPC server does not serve, or is away")
