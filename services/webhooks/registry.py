"""The webhooks of an organization: made, listed, changed, deleted."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, select

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import webhook_attempts, webhook_messages, webhooks
from services.errors import Invalid, NotFound, WrongState
from services.texts import control_error, quoted
from services.webhooks.addresses import check_url
from services.webhooks.model import EVENTS, Webhook
from services.webhooks.signing import BOTH_SECRETS, new_secret

#: Of one organization.
MAX_WEBHOOKS = 20
MAX_DESCRIPTION = 200


def create_webhook(
    database: Database, organization_id: str, url: str, events: Sequence[str], description: str
) -> tuple[Webhook, str]:
    """A new webhook, and its secret.

    Raises:
        Invalid: the URL, an event or the description is wrong.
        WrongState: the organization has as many as it may have.
    """
    check_url(url)
    secret = new_secret()
    with database.write() as connection:
        count = connection.scalar(select(func.count()).where(*registered(organization_id)))
        if (count or 0) >= MAX_WEBHOOKS:
            raise WrongState(
                "TOO_MANY_WEBHOOKS",
                f"An organization has at most {MAX_WEBHOOKS} webhooks; delete one first.",
            )
        webhook_id = str(uuid.uuid4())
        connection.execute(
            webhooks.insert().values(
                id=webhook_id,
                organization_id=organization_id,
                url=url,
                events=_events(events),
                description=_description(description),
                secret=secret,
                created_at=now(),
            )
        )
        return find_webhook(connection, organization_id, webhook_id), secret


def list_webhooks(database: Database, organization_id: str) -> list[Webhook]:
    """Every webhook of the organization, the oldest first."""
    with database.read() as connection:
        rows = connection.execute(
            select(webhooks)
            .where(*registered(organization_id))
            .order_by(webhooks.c.created_at, webhooks.c.id)
        ).all()
    return [_webhook(row) for row in rows]


def update_webhook(
    database: Database,
    organization_id: str,
    webhook_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> Webhook:
    """Changes what is given.

    Raises:
        NotFound: the organization has no such webhook.
        Invalid: as `create_webhook`.
    """
    values: dict[str, object] = {}
    if url is not None:
        check_url(url)
        values["url"] = url
    if events is not None:
        values["events"] = _events(events)
    if description is not None:
        values["description"] = _description(description)
    if enabled is not None:
        values |= {"enabled": enabled, "disabled_reason": "", "failing_since": None}
    with database.write() as connection:
        find_webhook(connection, organization_id, webhook_id)
        if values:
            connection.execute(
                webhooks.update().where(webhooks.c.id == webhook_id).values(**values)
            )
        return find_webhook(connection, organization_id, webhook_id)


def rotate_secret(database: Database, organization_id: str, webhook_id: str) -> str:
    """A new secret; the one before signs beside it for a day.

    Raises:
        NotFound: the organization has no such webhook.
    """
    secret = new_secret()
    with database.write() as connection:
        find_webhook(connection, organization_id, webhook_id)
        replace_secret(connection, webhooks, webhooks.c.id == webhook_id, secret)
    return secret


def replace_secret(
    connection: Connection, table: Table, which: ColumnElement[bool], secret: str
) -> None:
    """Signs with another secret; the one before signs beside it for a day."""
    connection.execute(
        table.update()
        .where(which)
        .values(
            previous_secret=table.c.secret,
            previous_until=now() + BOTH_SECRETS,
            secret=secret,
        )
    )


def delete_webhook(database: Database, organization_id: str, webhook_id: str) -> None:
    """Removes a webhook, with the log of its messages.

    Raises:
        NotFound: the organization has no such webhook.
    """
    with database.write() as connection:
        # Whoever writes a message to it, or what became of one, is done first, or finds it gone.
        find_webhook(connection, organization_id, webhook_id, Select.with_for_update)
        mine = select(webhook_messages.c.id).where(webhook_messages.c.webhook_id == webhook_id)
        connection.execute(webhook_attempts.delete().where(webhook_attempts.c.message_id.in_(mine)))
        connection.execute(
            webhook_messages.delete().where(webhook_messages.c.webhook_id == webhook_id)
        )
        connection.execute(webhooks.delete().where(webhooks.c.id == webhook_id))


def registered(organization_id: str) -> tuple[ColumnElement[bool], ...]:
    """Of a webhook: the organization has registered it. Those of callbacks nobody has."""
    return webhooks.c.organization_id == organization_id, ~webhooks.c.is_callback


def keeping(rows: Select[Any]) -> Select[Any]:
    """Webhooks that messages are written to: nobody deletes them before the transaction is over."""
    return rows.with_for_update(read=True, key_share=True)


def find_webhook(
    connection: Connection,
    organization_id: str,
    webhook_id: str,
    lock: Callable[[Select[Any]], Select[Any]] | None = None,
) -> Webhook:
    """One webhook, whose row is locked as `lock` has it, until the transaction is over.

    Raises:
        NotFound: the organization has no such webhook.
    """
    found = select(webhooks).where(webhooks.c.id == webhook_id, *registered(organization_id))
    row = connection.execute(lock(found) if lock else found).one_or_none()
    if row is None:
        raise NotFound(
            "WEBHOOK_NOT_FOUND",
            f"No webhook with the id {quoted(webhook_id)} was found. List the webhooks.",
            {"id": webhook_id},
        )
    return _webhook(row)


def _events(events: Sequence[str]) -> list[str]:
    for event in events:
        if event not in EVENTS:
            raise Invalid.of(
                "events", f"{quoted(event)} is unknown; there are: {', '.join(EVENTS)}"
            )
    return list(dict.fromkeys(events))


def _description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise Invalid.of("description", f"give at most {MAX_DESCRIPTION} characters")
    if problem := control_error(text):
        raise Invalid.of("description", problem)
    return text


def _webhook(row: Row[tuple[object, ...]]) -> Webhook:
    return Webhook(
        row.id,
        row.url,
        tuple(row.events),
        row.description,
        row.enabled,
        row.disabled_reason,
        row.created_at,
        row.failing_since,
    )
