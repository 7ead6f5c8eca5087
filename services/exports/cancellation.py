"""Cancelling an export that is not finished: it fails at once, and leaves nothing behind."""

from services.database.engine import Database
from services.errors import WrongState
from services.exports.claims import lock_turn
from services.exports.endings import Failure, Keeping, count_failed, fail_locked
from services.exports.model import ErrorCode, Export, ExportAddress, Status
from services.exports.queries import find_export

_CANCELLED = Failure(
    ErrorCode.cancelled,
    "The export was cancelled on request. Retry it to build it after all, or delete it.",
)


def cancel_export(
    database: Database, organization_id: str, address: ExportAddress, keeping: Keeping
) -> Export:
    """Ends a pending or running export as failed with the code `cancelled`; its row stays.

    Workers stop within seconds, and what they had built is removed then.

    Raises:
        NotFound: the organization has no such export.
        WrongState: it has ended already.
    """
    with database.write() as connection:
        lock_turn(connection, organization_id)
        found = find_export(connection, organization_id, address)
        if found.status in (Status.completed, Status.failed):
            raise WrongState(
                "EXPORT_ENDED",
                f"Export {found.name!r} has the status {found.status}; only one that is pending "
                "or processing can be cancelled. Delete it to remove it.",
                {"status": found.status},
            )
        format = fail_locked(connection, organization_id, found.id, _CANCELLED, keeping)
        cancelled = find_export(connection, organization_id, ExportAddress(id=found.id))
    count_failed(format, _CANCELLED)
    return cancelled
