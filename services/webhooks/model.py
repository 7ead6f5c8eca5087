"""What webhooks are made of."""

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """What is told."""

    completed = "export.completed"
    failed = "export.failed"
    #: Its archive goes soon.
    expiring = "export.expiring"
    #: Somebody tries the webhook.
    test = "webhook.test"


#: What a webhook may ask for.
EVENTS = (EventType.completed, EventType.failed, EventType.expiring)


class DeliveryStatus(StrEnum):
    """Where a message stands."""

    pending = "pending"
    delivered = "delivered"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told. Times are seconds since 1970."""

    id: str
    url: str
    #: Empty: all.
    events: tuple[str, ...]
    description: str
    enabled: bool
    #: Why it is not, where nobody asked for that.
    disabled_reason: str
    created_at: float
    #: Since when every attempt has failed; None: the last one did not.
    failing_since: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a message."""

    at: float
    #: Of the answer; 0: there was none.
    http_status: int
    #: Why it did not count; empty: it did.
    error: str
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message, and what became of it."""

    id: str
    event: str
    payload: str
    status: DeliveryStatus
    created_at: float
    #: When it is tried next, while it is pending.
    due_at: float | None
    attempts: tuple[Attempt, ...]
    url: str


@dataclass(frozen=True, slots=True)
class DueMessage:
    """A message that whoever claimed it is to send."""

    id: str
    webhook_id: str
    organization_id: str
    url: str
    #: The newest first.
    secrets: tuple[str, ...]
    payload: str
    #: Fencing: every claim raises it, and the result carries it.
    attempt: int
    #: Of an export's own address, which is never disabled: its next export may be served.
    is_callback: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try."""

    #: Of the answer; 0: there was none.
    http_status: int
    #: Why it does not count; empty: the receiver has it.
    error: str
    milliseconds: int
