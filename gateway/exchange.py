"""What the gateway knows of one request and of its answer, from edge to edge."""

from dataclasses import dataclass, field

from starlette.requests import Request

from gateway.addresses import Target
from gateway.dialects import Dialect


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    request_id: str
    #: As sent; empty: none.
    api_key: str
    target: Target
    dialect: Dialect
    #: The trace that calls of the server belong to; empty: none.
    traceparent: str = ""
    #: Whether the client asks for a stream of events instead of one answer.
    wants_events: bool = False
    #: Headers that the answer gets, whatever it will be.
    headers: dict[str, str] = field(default_factory=dict)
    #: Whether the server has seen the API key.
    authenticated: bool = False


def exchange_of(request: Request) -> Exchange:
    """The exchange that a request belongs to."""
    exchange = request.state.exchange
    assert isinstance(exchange, Exchange)
    return exchange
