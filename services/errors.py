"""The errors of the domain. One interceptor turns them into gRPC statuses.

(reason, domain) is the contract; the message is for people and says what to do.
"""

from dataclasses import dataclass, field

DOMAIN = "cartouche"


@dataclass
class CartoucheError(Exception):
    """Base of every error that a caller may see."""

    reason: str
    message: str
    #: The dynamic parts of the message.
    metadata: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


class Unauthenticated(CartoucheError):
    """No API key, or one that is not known (401)."""


class Forbidden(CartoucheError):
    """The API key's role does not allow the call (403)."""


class NotFound(CartoucheError):
    """The organization has no such thing (404)."""


class AlreadyExists(CartoucheError):
    """The name is taken (409)."""


class WrongState(CartoucheError):
    """The thing exists, and its state does not allow the call (409)."""


class Conflict(CartoucheError):
    """The call contradicts an earlier one (409)."""


class RateLimited(CartoucheError):
    """Too many calls; metadata `retry_after` gives whole seconds (429)."""


class QuotaExceeded(CartoucheError):
    """More than the organization may have; metadata `retry_after` gives whole seconds (429)."""


class Overloaded(CartoucheError):
    """More calls than can be answered in time; metadata `retry_after` gives whole seconds (429)."""


class Unavailable(CartoucheError):
    """A part that the call needs is away for the moment (503)."""


class DiskFull(Unavailable):
    """A part that the call needs has no room to write; it passes when somebody makes some (503)."""


@dataclass
class Invalid(CartoucheError):
    """Fields are wrong (422): `fields` maps each to what is wrong with it."""

    fields: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, description: str) -> "Invalid":
        """One wrong field."""
        return cls("INVALID_ARGUMENT", f"{name}: {description}", {}, {name: description})
