"""API keys: made, stored hashed, looked up.

A key is `pk_live_` and 32 random letters and digits (190 bits), so one round of SHA-256
keeps it as safe as a slow hash would, and a look-up costs one index read.
"""

import hashlib
import secrets
import string
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, or_, select
from sqlalchemy.exc import IntegrityError

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import api_keys, organizations
from services.errors import Invalid, NotFound, Unauthenticated
from services.identity.roles import Caller, Role

PREFIX = "pk_live_"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def ensure_organization(database: Database, name: str) -> str:
    """The id of the organization called `name`, made if it is missing.

    Raises:
        Invalid: the name is blank or longer than 120 characters.
    """
    name = name.strip()
    if not name or len(name) > 120:
        raise Invalid.of("organization", "give a name of 1 to 120 characters")
    found = select(organizations.c.id).where(organizations.c.name == name)
    with database.read() as connection:
        organization_id: str | None = connection.scalar(found)
    if organization_id:
        return organization_id
    organization_id = str(uuid.uuid4())
    try:
        with database.write() as connection:
            connection.execute(
                organizations.insert().values(id=organization_id, name=name, created_at=now())
            )
    except IntegrityError:
        with database.read() as connection:
            return str(connection.scalar(found))
    return organization_id


def set_rate_limit(database: Database, organization: str, per_hour: int | None) -> None:
    """Gives an organization a limit of its own: calls an hour and key, 0 for none, None for
    the default again.

    Raises:
        NotFound: there is no such organization.
    """
    _change(database, organization, rate_limit=per_hour)


def set_work_limits(
    database: Database, organization: str, step_cap: int | None, pending_quota: int | None
) -> None:
    """Gives an organization limits of its own, or with None the defaults again: steps that run
    at once, and exports that wait to be built.

    Raises:
        NotFound: there is no such organization.
    """
    _change(database, organization, step_cap=step_cap, pending_quota=pending_quota)


def _change(database: Database, organization: str, **values: int | None) -> None:
    with database.write() as connection:
        changed = connection.execute(
            organizations.update().where(organizations.c.name == organization).values(**values)
        )
        if not changed.rowcount:
            raise _no_organization(organization)


def create_key(
    database: Database, organization_id: str, role: Role, lifetime: timedelta | None = None
) -> str:
    """A new key of an organization, which is taken for `lifetime`; None: for ever. This is the
    only time the key is seen."""
    with database.write() as connection:
        return _create(connection, organization_id, role, lifetime)


@dataclass(frozen=True, slots=True)
class Key:
    """What may be told of a key. Times are seconds since 1970."""

    id: str
    #: Its first characters.
    prefix: str
    role: Role
    created_at: float
    #: None: it does not expire.
    expires_at: float | None
    is_expired: bool


def list_keys(database: Database, organization: str) -> list[Key]:
    """The keys of an organization, the oldest first.

    Raises:
        NotFound: there is no such organization.
    """
    with database.read() as connection:
        owner = _organization_id(connection, organization)
        rows = connection.execute(
            select(api_keys, (api_keys.c.expires_at <= now()).label("is_expired"))
            .where(api_keys.c.organization_id == owner)
            .order_by(api_keys.c.created_at, api_keys.c.id)
        ).all()
    return [
        Key(
            row.id, row.prefix, Role[row.role], row.created_at, row.expires_at, bool(row.is_expired)
        )
        for row in rows
    ]


def revoke_key(database: Database, organization: str, which: str) -> str:
    """Ends a key at once and for ever; returns its first characters.

    `which` is its id, the key itself, or its first characters where no other key of the
    organization begins so.

    Raises:
        NotFound: the organization has no such key, or there is no such organization.
        Invalid: several keys begin so.
    """
    with database.write() as connection:
        found = _find(connection, organization, which)
        connection.execute(api_keys.delete().where(api_keys.c.id == found.id))
    return str(found.prefix)


def rotate_key(database: Database, organization: str, which: str, grace: timedelta) -> str:
    """A new key in place of another, which is taken for as long as `grace` yet.

    Raises: as `revoke_key`.
    """
    with database.write() as connection:
        found = _find(connection, organization, which)
        ends = now() + grace.total_seconds()
        connection.execute(
            api_keys.update()
            .where(api_keys.c.id == found.id)
            .where(or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > ends))
            .values(expires_at=ends)
        )
        return _create(connection, found.organization_id, Role[found.role], None)


def _create(
    connection: Connection, organization_id: str, role: Role, lifetime: timedelta | None
) -> str:
    key = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    connection.execute(
        api_keys.insert().values(
            id=str(uuid.uuid4()),
            organization_id=organization_id,
            role=role.name,
            prefix=key[:12],
            key_hash=_hash(key),
            created_at=now(),
            expires_at=None if lifetime is None else now() + lifetime.total_seconds(),
        )
    )
    return key


def _organization_id(connection: Connection, name: str) -> str:
    found: str | None = connection.scalar(
        select(organizations.c.id).where(organizations.c.name == name)
    )
    if found is None:
        raise _no_organization(name)
    return found


def _find(connection: Connection, organization: str, which: str) -> Row[Any]:
    owner = _organization_id(connection, organization)
    mine = select(api_keys).where(api_keys.c.organization_id == owner)
    exact = mine.where(or_(api_keys.c.id == which, api_keys.c.key_hash == _hash(which)))
    found = connection.execute(exact).all()
    if not found and which.startswith(PREFIX):
        found = connection.execute(mine.where(api_keys.c.prefix == which)).all()
    if not found:
        raise NotFound(
            "API_KEY_NOT_FOUND",
            f"Organization {organization!r} has no such key; `cartouche keys list` shows what it "
            "has.",
            {"organization": organization},
        )
    if len(found) > 1:
        raise Invalid.of("key", f"{len(found)} keys begin with {which}: give the id of one")
    return found[0]


def _no_organization(name: str) -> NotFound:
    return NotFound(
        "ORGANIZATION_NOT_FOUND",
        f"There is no organization {name!r}; `cartouche keys create` makes one.",
        {"organization": name},
    )


def authenticate(database: Database, key: str) -> Caller:
    """Who holds `key`.

    Raises:
        Unauthenticated: there is no key, or nobody holds it, or it has expired.
    """
    digest = digest_of(key)
    return known_holder(callers_of(database, [digest]).get(digest))


def digest_of(key: str) -> str:
    """What a key is looked up by.

    Raises:
        Unauthenticated: there is no key.
    """
    if not key:
        raise Unauthenticated(
            "API_KEY_MISSING", "Send your API key in the X-API-Key header (pk_live_…)."
        )
    return _hash(key)


def known_holder(found: Caller | None) -> Caller:
    """The holder of a key, if anybody was found.

    Raises:
        Unauthenticated: nobody was.
    """
    if found is None:
        raise Unauthenticated(
            "API_KEY_INVALID",
            "The API key is not valid, or has expired. Check X-API-Key, or ask for a new key.",
        )
    return found


def callers_of(database: Database, digests: Sequence[str]) -> dict[str, Caller]:
    """Who holds keys, by what `digest_of` says of them; those that nobody holds are left out."""
    with database.read() as connection:
        rows = connection.execute(_callers(), {"digests": digests}).all()
    return {
        row.key_hash: Caller(row.id, row.organization_id, Role[row.role], row.rate_limit)
        for row in rows
    }


@cache
def _callers() -> Select[Any]:
    """Who holds keys with these `digests` now: made once, as it is asked all the time."""
    return (
        select(
            api_keys.c.key_hash,
            api_keys.c.id,
            api_keys.c.organization_id,
            api_keys.c.role,
            organizations.c.rate_limit,
        )
        .join(organizations, organizations.c.id == api_keys.c.organization_id)
        .where(
            api_keys.c.key_hash.in_(bindparam("digests", expanding=True)),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now()),
        )
    )
