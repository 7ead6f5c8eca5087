"""Who makes the call that is being served."""

from contextvars import ContextVar

from services.identity.roles import Caller

_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """The API key behind the call that is being served."""
    return _caller.get()


def set_caller(known: Caller) -> None:
    """Says who makes the call that this context serves, before its handler runs."""
    _caller.set(known)
