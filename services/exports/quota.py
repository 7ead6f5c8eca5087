"""How many exports of an organization may wait to be built."""

from sqlalchemy import Connection, func, select

from services.database.tables import exports, organizations
from services.errors import QuotaExceeded
from services.exports.model import Status

#: Seconds after which a caller over its quota may try again; SDKs give up above 120.
_QUOTA_RETRY = 30


def check_quota(connection: Connection, organization_id: str, default: int) -> None:
    """Sees to it that one more export may wait.

    `default` holds for an organization that has no quota of its own.

    Raises:
        QuotaExceeded: as many exports wait as may.
    """
    quota = connection.scalar(
        select(func.coalesce(organizations.c.pending_quota, default)).where(
            organizations.c.id == organization_id
        )
    )
    assert quota is not None
    pending = (
        select(exports.c.id)
        .where(
            exports.c.organization_id == organization_id,
            exports.c.status == Status.pending,
            ~exports.c.deleted,
        )
        .limit(quota)
        .subquery()
    )
    waiting = connection.scalar(select(func.count()).select_from(pending)) or 0
    if waiting >= quota:
        raise QuotaExceeded(
            "QUOTA_EXCEEDED",
            f"{waiting} exports of the organization wait to be built, which is as many as may. "
            "Wait until some of them are under way, or delete those that nobody needs.",
            {"quota": str(quota), "pending": str(waiting), "retry_after": str(_QUOTA_RETRY)},
        )
