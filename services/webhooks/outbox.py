"""Messages to webhooks: written with the change that they tell of, in one transaction, and sent
from the record by whoever claims them.

The schedule of retries is that of Standard Webhooks 1.0: at once, then after 5 s, 5 min, 30 min,
2 h, 5 h, 10 h, 14 h, 20 h and 24 h.
"""

import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    or_,
    select,
)

from services.database.clock import now, now_once
from services.database.engine import Database
from services.database.tables import (
    callback_secrets,
    datasets,
    exports,
    webhook_attempts,
    webhook_messages,
    webhooks,
)
from services.errors import NotFound
from services.texts import quoted
from services.webhooks import callbacks
from services.webhooks.model import (
    Attempt,
    Delivery,
    DeliveryStatus,
    DueMessage,
    EventType,
    Outcome,
)
from services.webhooks.registry import find_webhook, keeping, registered

#: Seconds between one attempt and the next.
PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Seconds after which a message is sent by another worker, as its own has said nothing of it.
LEASE = 60.0
#: Seconds of failures alone, after which a webhook is disabled.
PATIENCE = 5 * 86_400.0
#: Seconds for which a message is kept that was delivered or given up.
KEPT = 7 * 86_400.0
#: What callbacks are told of.
_ENDS = frozenset((EventType.completed, EventType.failed))
#: Part of a pause that is added at random, so that a receiver that comes back is not overrun.
_JITTER = 0.1


def announce(
    connection: Connection, organization_id: str, export_id: str, event: EventType
) -> None:
    """Writes a message for each webhook of the organization that wants to hear of an export, and
    for the callback of one that has ended, whose address is told once.

    Payloads are thin: whoever needs more reads the export.
    """
    told = {
        row.id: row.url
        for row in connection.execute(
            keeping(
                select(webhooks.c.id, webhooks.c.url, webhooks.c.events).where(
                    *registered(organization_id), webhooks.c.enabled
                )
            )
        )
        if not row.events or event in row.events
    }
    if not told and event not in _ENDS:
        return
    export = connection.execute(
        select(exports, datasets.c.name.label("dataset_name"), now().label("at"))
        .join(datasets, datasets.c.id == exports.c.dataset_id)
        .where(exports.c.id == export_id)
    ).one()
    wanted = list(told)
    if event in _ENDS and export.callback_url and export.callback_url not in told.values():
        wanted.append(callbacks.address(connection, organization_id, export.callback_url))
    if not wanted:
        return
    data = {
        "id": export.id,
        "name": export.name,
        "dataset_id": export.dataset_id,
        "dataset_name": export.dataset_name,
        "organization_id": export.organization_id,
        "format": export.format,
        "status": export.status,
        "error_code": export.error_code or None,
        "expires_at": _time(export.expires_at) if export.expires_at is not None else None,
    }
    for webhook_id in wanted:
        _write(connection, organization_id, webhook_id, event, data, export.at)


def send_test(database: Database, organization_id: str, webhook_id: str) -> str:
    """Writes a message that tells of nothing; its id.

    Raises:
        NotFound: the organization has no such webhook.
    """
    with database.write() as connection:
        find_webhook(connection, organization_id, webhook_id, keeping)
        at = connection.execute(select(now())).scalar_one()
        data = {"webhook_id": webhook_id}
        return _write(connection, organization_id, webhook_id, EventType.test, data, at)


def redeliver(database: Database, organization_id: str, message_id: str) -> str:
    """Sends a message again, as if it had never been tried; its id.

    Raises:
        NotFound: the organization has no such message.
    """
    with database.write() as connection:
        result = connection.execute(
            webhook_messages.update()
            .where(
                webhook_messages.c.id == message_id,
                webhook_messages.c.organization_id == organization_id,
            )
            .values(
                status=DeliveryStatus.pending,
                due_at=now(),
                tries=0,
                leased_until=None,
                # Whoever is sending it right now is fenced off.
                attempt=webhook_messages.c.attempt + 1,
            )
        )
        if result.rowcount == 0:
            raise NotFound(
                "DELIVERY_NOT_FOUND",
                f"No message with the id {quoted(message_id)} was found. List the deliveries.",
                {"id": message_id},
            )
    return message_id


def list_deliveries(
    database: Database, organization_id: str, webhook_id: str, limit: int, offset: int
) -> tuple[list[Delivery], int]:
    """Messages to a webhook, or to all callbacks (`CALLBACKS`), the newest first, and how many
    there are.

    Raises:
        NotFound: the organization has no such webhook.
    """
    with database.read() as connection:
        mine: ColumnElement[bool]
        if webhook_id == callbacks.CALLBACKS:
            theirs = select(webhooks.c.id).where(
                webhooks.c.organization_id == organization_id, webhooks.c.is_callback
            )
            mine = webhook_messages.c.webhook_id.in_(theirs)
        else:
            find_webhook(connection, organization_id, webhook_id)
            mine = webhook_messages.c.webhook_id == webhook_id
        total = connection.scalar(select(func.count()).where(mine)) or 0
        rows = connection.execute(
            select(webhook_messages, webhooks.c.url)
            .join(webhooks, webhooks.c.id == webhook_messages.c.webhook_id)
            .where(mine)
            .order_by(webhook_messages.c.created_at.desc(), webhook_messages.c.id)
            .limit(limit)
            .offset(offset)
        ).all()
        attempts: dict[str, list[Attempt]] = {row.id: [] for row in rows}
        for row in connection.execute(
            select(webhook_attempts)
            .where(webhook_attempts.c.message_id.in_(list(attempts)))
            .order_by(webhook_attempts.c.at)
        ):
            attempts[row.message_id].append(
                Attempt(row.at, row.http_status, row.error, row.milliseconds)
            )
    return [
        Delivery(
            row.id,
            row.event,
            row.payload,
            DeliveryStatus(row.status),
            row.created_at,
            row.due_at if row.status == DeliveryStatus.pending else None,
            tuple(attempts[row.id]),
            row.url,
        )
        for row in rows
    ], total


def claim_due(database: Database, most: int) -> list[DueMessage]:
    """Messages that are due, for this caller alone until their lease is over: at most one of each
    webhook, so that one that hangs holds nobody up, and none of one that is being called."""
    other = webhook_messages.alias()
    due = (
        webhook_messages.c.status == DeliveryStatus.pending,
        webhook_messages.c.due_at <= now_once(),
        or_(
            webhook_messages.c.leased_until.is_(None),
            webhook_messages.c.leased_until < now_once(),
        ),
    )
    with database.read() as connection:
        if connection.execute(select(webhook_messages.c.id).where(*due).limit(1)).first() is None:
            return []
    busy = exists().where(
        other.c.webhook_id == webhook_messages.c.webhook_id, other.c.leased_until >= now_once()
    )
    with database.write() as connection:
        rows = connection.execute(
            select(
                webhook_messages,
                webhooks.c.url,
                webhooks.c.is_callback,
                *_secrets(webhooks),
                *_secrets(callback_secrets, "callback_"),
            )
            .join(webhooks, webhooks.c.id == webhook_messages.c.webhook_id)
            .outerjoin(
                callback_secrets,
                and_(
                    webhooks.c.is_callback,
                    callback_secrets.c.organization_id == webhooks.c.organization_id,
                ),
            )
            .where(*due, webhooks.c.enabled, ~busy)
            .order_by(webhook_messages.c.due_at)
            .limit(8 * most)
            .with_for_update(of=webhook_messages, skip_locked=True)
        ).all()
        first = {row.webhook_id: row for row in reversed(rows)}
        claimed = sorted(first.values(), key=lambda row: row.due_at)[:most]
        if claimed:
            connection.execute(
                webhook_messages.update()
                .where(webhook_messages.c.id.in_([row.id for row in claimed]))
                .values(leased_until=now() + LEASE, attempt=webhook_messages.c.attempt + 1)
            )
    return [
        DueMessage(
            row.id,
            row.webhook_id,
            row.organization_id,
            row.url,
            _signed_with(row),
            row.payload,
            row.attempt + 1,
            row.is_callback,
        )
        for row in claimed
    ]


def record(database: Database, message: DueMessage, outcome: Outcome) -> None:
    """Writes down what became of a try, and when the next one is. A webhook whose receiver says
    that it is gone, or that has failed for days, is disabled.

    Nothing is written where the message was claimed by somebody else meanwhile.
    """
    with database.write() as connection:
        # Before its message, as whoever deletes both.
        connection.execute(
            select(webhooks.c.id)
            .where(webhooks.c.id == message.webhook_id)
            .with_for_update(key_share=True)
        )
        row = connection.execute(
            select(webhook_messages.c.tries, now().label("at")).where(
                webhook_messages.c.id == message.id,
                webhook_messages.c.attempt == message.attempt,
                webhook_messages.c.status == DeliveryStatus.pending,
            )
        ).one_or_none()
        if row is None:
            return
        connection.execute(
            webhook_attempts.insert().values(
                id=str(uuid.uuid4()),
                message_id=message.id,
                at=row.at,
                http_status=outcome.http_status,
                error=outcome.error,
                milliseconds=outcome.milliseconds,
            )
        )
        status, due_at = DeliveryStatus.delivered, None
        if outcome.error:
            status = DeliveryStatus.failed
            if row.tries < len(PAUSES) and outcome.http_status != HTTPStatus.GONE:
                status = DeliveryStatus.pending
                due_at = row.at + PAUSES[row.tries] * (1 + _JITTER * random.random())
        connection.execute(
            webhook_messages.update()
            .where(webhook_messages.c.id == message.id)
            .values(status=status, due_at=due_at, tries=row.tries + 1, leased_until=None)
        )
        if not message.is_callback:
            _count(connection, message.webhook_id, outcome, row.at)


def purge(database: Database, most: int) -> None:
    """Forgets messages that were delivered or given up a week ago, and callbacks without any."""
    with database.write() as connection:
        old = list(
            connection.scalars(
                select(webhook_messages.c.id)
                .where(
                    webhook_messages.c.status != DeliveryStatus.pending,
                    webhook_messages.c.created_at < now_once() - KEPT,
                )
                .limit(most)
                # One that is sent again this moment is not old.
                .with_for_update(skip_locked=True)
            )
        )
        if old:
            connection.execute(
                delete(webhook_attempts).where(webhook_attempts.c.message_id.in_(old))
            )
            connection.execute(delete(webhook_messages).where(webhook_messages.c.id.in_(old)))
        callbacks.forget(connection, KEPT, most)


def _secrets(table: Table, prefix: str = "") -> tuple[ColumnElement[str], ColumnElement[str]]:
    """The secret of a table, and the one before as long as it counts."""
    old = case((table.c.previous_until > now(), table.c.previous_secret))
    return table.c.secret.label(f"{prefix}secret"), old.label(f"{prefix}old")


def _signed_with(row: Row[Any]) -> tuple[str, ...]:
    new, old = (row.callback_secret, row.callback_old) if row.is_callback else (row.secret, row.old)
    return (new, old) if old else (new,)


def _count(connection: Connection, webhook_id: str, outcome: Outcome, at: float) -> None:
    mine = webhooks.c.id == webhook_id
    if not outcome.error:
        connection.execute(
            webhooks.update()
            .where(mine, webhooks.c.failing_since.is_not(None))
            .values(failing_since=None)
        )
        return
    connection.execute(
        webhooks.update()
        .where(mine)
        .values(failing_since=func.coalesce(webhooks.c.failing_since, at))
    )
    reason = ""
    if outcome.http_status == HTTPStatus.GONE:
        reason = "the receiver answered 410: it is gone"
    else:
        since = connection.scalar(select(webhooks.c.failing_since).where(mine))
        if since is not None and since < at - PATIENCE:
            reason = "every attempt of five days has failed"
    if reason:
        connection.execute(
            webhooks.update().where(mine).values(enabled=False, disabled_reason=reason)
        )


def _write(
    connection: Connection,
    organization_id: str,
    webhook_id: str,
    event: EventType,
    data: Mapping[str, object],
    at: float,
) -> str:
    message_id = f"msg_{uuid.uuid4().hex}"
    payload = orjson.dumps({"type": event, "timestamp": _time(at), "data": data}).decode()
    connection.execute(
        webhook_messages.insert().values(
            id=message_id,
            organization_id=organization_id,
            webhook_id=webhook_id,
            event=event,
            payload=payload,
            status=DeliveryStatus.pending,
            created_at=at,
            due_at=at,
        )
    )
    return message_id


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
