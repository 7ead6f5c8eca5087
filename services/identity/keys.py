"""API keys: made, stored hashed, looked up.

A key is `pk_live_` and 32 random letters and digits (190 bits), so one round of SHA-256
keeps it as safe as a slow hash would, and a look-up costs one index read.
"""

import hashlib
import secrets
import string
import uuid

from sqlalchemy import select
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
            raise NotFound(
                "ORGANIZATION_NOT_FOUND",
                f"There is no organization {organization!r}; `cartouche keys create` makes one.",
                {"organization": organization},
            )


def create_key(database: Database, organization_id: str, role: Role) -> str:
    """A new key of an organization. This is the only time the key is seen."""
    key = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    with database.write() as connection:
        connection.execute(
            api_keys.insert().values(
                id=str(uuid.uuid4()),
                organization_id=organization_id,
                role=role.name,
                prefix=key[:12],
                key_hash=_hash(key),
                created_at=now(),
            )
        )
    return key


def authenticate(database: Database, key: str) -> Caller:
    """Who holds `key`.

    Raises:
        Unauthenticated: there is no key, or nobody holds it.
    """
    if not key:
        raise Unauthenticated(
            "API_KEY_MISSING", "Send your API key in the X-API-Key header (pk_live_…)."
        )
    query = (
        select(
            api_keys.c.id,
            api_keys.c.organization_id,
            api_keys.c.role,
            organizations.c.rate_limit,
        )
        .join(organizations, organizations.c.id == api_keys.c.organization_id)
        .where(api_keys.c.key_hash == _hash(key))
    )
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise Unauthenticated(
            "API_KEY_INVALID", "The API key is not valid. Check X-API-Key, or ask for a new key."
        )
    return Caller(row.id, row.organization_id, Role[row.role], row.rate_limit)
