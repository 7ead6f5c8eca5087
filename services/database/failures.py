"""Which errors of the database pass by themselves: callers may try again in a moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError, TimeoutError

from services.errors import DiskFull, Unavailable

#: The server became a standby, or always was one.
READ_ONLY = "25006"
_BUSY = frozenset(
    (
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available: lock_timeout
        "57014",  # query_canceled: statement_timeout
    )
)


#: disk_full, and what SQLite calls it.
_FULL = "53100"
_SQLITE_FULL = frozenset(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"))

_OTHER_SCHEMA = frozenset(
    (
        "42P01",  # undefined_table
        "42703",  # undefined_column
    )
)


@contextmanager
def passing_failures() -> Iterator[None]:
    """Errors that pass leave the block as one.

    Raises:
        Unavailable: the database is away, changes its role, or is too busy.
        DiskFull: it has no room.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if isinstance(error, DBAPIError) and _is_full(error.orig):
            raise no_room() from error
        message = _message_of(error)
        if message is None:
            raise
        raise Unavailable("DATABASE_UNAVAILABLE", message, {}) from error


def no_room() -> DiskFull:
    """What callers are told where the database cannot write."""
    return DiskFull(
        "DISK_FULL",
        "The disk of the database is full: nothing can be written until there is room.",
        {"retry_after": "30"},
    )


def _is_full(error: BaseException | None) -> bool:
    name = getattr(error, "sqlite_errorname", None)
    return sqlstate_of(error) == _FULL or name in _SQLITE_FULL


def is_of_another_schema(error: Exception) -> bool:
    """Whether the database has no such table or column: it was migrated under a process."""
    return isinstance(error, DBAPIError) and sqlstate_of(error.orig) in _OTHER_SCHEMA


def sqlstate_of(error: BaseException | None) -> str | None:
    """PostgreSQL's code of an error of the driver; None: it has none."""
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _message_of(error: SQLAlchemyError) -> str | None:
    """What to tell callers; None: the error does not pass."""
    if isinstance(error, TimeoutError):
        return "Every connection to the database is in use; try again in a moment."
    if not isinstance(error, DBAPIError):
        return None
    state = sqlstate_of(error.orig)
    if state in _BUSY:
        return "The database is busy with what this needs; try again in a moment."
    if isinstance(error, OperationalError) or error.connection_invalidated or state == READ_ONLY:
        return "The database does not answer; try again in a moment."
    return None
