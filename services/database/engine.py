"""The engine and the two ways to use it: read and write."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from services.errors import Unavailable

#: What a block of `Database` works with; queries take it.
Transaction = Connection


class Database:
    """One pool of connections for a process; thread-safe, made after any fork."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.url = url
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        if self.is_sqlite:
            Path(make_url(url).database or "").parent.mkdir(parents=True, exist_ok=True)
            self.engine = create_engine(url, connect_args={"timeout": 30, "isolation_level": None})
            _use_explicit_transactions(self.engine)
        else:
            self.engine = create_engine(
                url,
                pool_size=pool_size,
                max_overflow=pool_size,
                pool_pre_ping=True,
                pool_recycle=1800,
                connect_args={"connect_timeout": 5},
            )
            _bound_transactions(self.engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write, committed at the end of the block.

        Raises:
            Unavailable: the database is away.
        """
        with _available(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(cartouche_begin="BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One short transaction that only reads.

        Raises:
            Unavailable: the database is away.
        """
        with _available(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One transaction that sees the database as it was at its first query.

        Raises:
            Unavailable: the database is away.
        """
        with _available(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def ping(self) -> None:
        """Asks the database for one value.

        Raises:
            Unavailable: the database is away.
        """
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Closes the pool."""
        self.engine.dispose()


@contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise _away() from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _away() from error
        raise


def _away() -> Unavailable:
    return Unavailable(
        "DATABASE_UNAVAILABLE", "The database does not answer; try again in a moment.", {}
    )


def _bound_transactions(engine: Engine) -> None:
    """A process that stands still in the middle of a transaction keeps its locks, and with them
    everybody else, only so long."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, record: ConnectionPoolEntry) -> None:
        connection.execute("SET idle_in_transaction_session_timeout = '2min'")
        connection.commit()


def _use_explicit_transactions(engine: Engine) -> None:
    """WAL, foreign keys, and BEGIN as `write` asks: sqlite3 itself would begin too late,
    and a reader that turns writer meets a lock it cannot wait for."""

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA busy_timeout=30000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options: dict[str, Any] = dict(connection.get_execution_options())
        connection.exec_driver_sql(options.get("cartouche_begin", "BEGIN"))
