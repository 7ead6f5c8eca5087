"""Callbacks: addresses that exports name for themselves. One secret of the organization signs all.

To the outbox each address is a webhook that nobody registered: it is there as long as there are
messages to it.
"""

import uuid

from sqlalchemy import Connection, Table, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from services.database.clock import now, now_once
from services.database.engine import Database
from services.database.tables import callback_secrets, webhook_messages, webhooks
from services.webhooks.registry import replace_secret
from services.webhooks.signing import new_secret

#: What an organization's callbacks are called, where the id of a webhook is asked for.
CALLBACKS = "callbacks"


def secret_of(database: Database, organization_id: str) -> str:
    """What the organization's callbacks are signed with; made when it is asked for first."""
    with database.write() as connection:
        _make_secret(connection, organization_id)
        secret: str = connection.execute(
            select(callback_secrets.c.secret).where(
                callback_secrets.c.organization_id == organization_id
            )
        ).scalar_one()
    return secret


def rotate_secret(database: Database, organization_id: str) -> str:
    """A new secret; the one before signs beside it for a day."""
    secret = new_secret()
    with database.write() as connection:
        _make_secret(connection, organization_id)
        mine = callback_secrets.c.organization_id == organization_id
        replace_secret(connection, callback_secrets, mine, secret)
    return secret


def address(connection: Connection, organization_id: str, url: str) -> str:
    """The id under which messages are written to the URL of a callback."""
    _make_secret(connection, organization_id)
    webhook_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{organization_id} {url}"))
    # It is used: `forget` leaves it alone, or is done before.
    used = (
        webhooks.update().where(webhooks.c.id == webhook_id).values(created_at=now(), enabled=True)
    )
    if connection.execute(used).rowcount == 0:
        connection.execute(
            _insert(connection, webhooks)
            .values(
                id=webhook_id,
                organization_id=organization_id,
                url=url,
                events=[],
                secret="",
                created_at=now(),
                is_callback=True,
            )
            .on_conflict_do_nothing()
        )
    return webhook_id


def forget(connection: Connection, unused: float, most: int) -> None:
    """Removes addresses that have no messages, and got none for so many seconds."""
    old = (webhooks.c.is_callback, webhooks.c.created_at < now_once() - unused)
    has_messages = exists().where(webhook_messages.c.webhook_id == webhooks.c.id)
    found = list(connection.scalars(select(webhooks.c.id).where(*old, ~has_messages).limit(most)))
    if found:
        connection.execute(webhooks.delete().where(webhooks.c.id.in_(found), *old, ~has_messages))


def _make_secret(connection: Connection, organization_id: str) -> None:
    connection.execute(
        _insert(connection, callback_secrets)
        .values(organization_id=organization_id, secret=new_secret())
        .on_conflict_do_nothing()
    )


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)
