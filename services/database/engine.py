"""The engine and the two ways to use it: read and write."""

import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext, make_url
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from services import metrics
from services.database.bounds import grant, network_options, use_bounds
from services.database.failures import READ_ONLY, no_room, passing_failures, sqlstate_of
from services.database.observed import Kind, observe_statements, observed_transaction
from services.errors import DiskFull

#: What a block of `Database` works with; queries take it.
Transaction = Connection

#: Seconds for which the disk counts as full that was.
_FULL_FOR = 10.0
#: Bytes of room that SQLite needs for its log and its index.
_ROOM = 1024 * 1024
#: Seconds that a thread waits for a connection that others use.
_POOL_WAIT = 5.0


class Database:
    """One pool of connections for a process; thread-safe, made after any fork."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        """Opens nothing yet. At most `pool_size` connections are open, and stay so: as many as
        threads that use the database at the same time keep nobody waiting."""
        self.url = url
        #: When a transaction found the disk full last.
        self._full_at = float("-inf")
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        pool: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 0,
            "pool_timeout": _POOL_WAIT,
            # The one that was used last, which needs no look whether it works; and libpq keeps
            # buffers of the size of the longest statement for each that was ever used.
            "pool_use_lifo": True,
        }
        if self.is_sqlite:
            file = Path(parsed.database or "")
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.engine = create_engine(
                url, connect_args={"timeout": 30, "isolation_level": None}, **pool
            )
            _keep_private(self.engine, file)
            _use_explicit_transactions(self.engine)
        else:
            self.engine = create_engine(
                url,
                pool_recycle=1800,
                connect_args=network_options(parsed),
                **pool,
            )
            use_bounds(self.engine)
            _leave_standbys(self.engine)
        observe_statements(self.engine)

    @contextmanager
    def write(self, patience: float | None = None) -> Iterator[Connection]:
        """One transaction that may write, committed at the end of the block.

        `patience`: seconds that a statement may take on PostgreSQL, where it may take long.

        Raises:
            Unavailable: the database is away or too busy.
        """
        begin = "BEGIN IMMEDIATE"
        with self._transaction("write", patience, cartouche_begin=begin) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Reads: on PostgreSQL each statement sees what is committed by then, as it would in a
        transaction of READ COMMITTED, without the two round trips of one. Nothing is streamed.

        Raises:
            Unavailable: the database is away or too busy.
        """
        options: dict[str, Any] = {}
        if not self.is_sqlite:
            options = {"isolation_level": "AUTOCOMMIT"}
        with self._transaction("read", **options) as connection:
            yield connection

    @contextmanager
    def snapshot(self, patience: float | None = None) -> Iterator[Connection]:
        """One transaction that sees the database as it was at its first query.

        `patience`: seconds that a statement may take on PostgreSQL, where it may take long.

        Raises:
            Unavailable: the database is away or too busy.
        """
        options: dict[str, Any] = {}
        if not self.is_sqlite:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._transaction("snapshot", patience, **options) as connection:
            yield connection

    @contextmanager
    def _transaction(
        self, kind: Kind, patience: float | None = None, **options: Any
    ) -> Iterator[Connection]:
        observed = observed_transaction(kind, self.engine.dialect.name)
        try:
            with observed, passing_failures(), self._connected() as connection:
                connection = connection.execution_options(**options)
                with connection.begin():
                    if patience is not None and not self.is_sqlite:
                        grant(connection, patience)
                    yield connection
        except DiskFull:
            self._full_at = time.monotonic()
            raise

    def _connected(self) -> Connection:
        with metrics.seconds_of(metrics.POOL_WAIT_SECONDS):
            return self.engine.connect()

    def show_pool(self) -> None:
        """Makes the pool of this database that which this process measures."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        metrics.show(metrics.POOL_LIMIT)
        metrics.POOL_LIMIT.set(pool.size())
        metrics.POOL_CONNECTIONS.labels("used").set_function(pool.checkedout)
        metrics.POOL_CONNECTIONS.labels("idle").set_function(pool.checkedin)

    def ping(self) -> None:
        """Asks the database for one value, and whether there is room to write.

        Raises:
            Unavailable: the database is away or too busy.
            DiskFull: its disk is, on SQLite; on PostgreSQL, a transaction of this process found
                that a moment ago.
        """
        with self.read() as connection:
            connection.execute(text("SELECT 1"))
        if time.monotonic() - self._full_at < _FULL_FOR or not self._has_room():
            raise no_room()

    def _has_room(self) -> bool:
        folder = Path(make_url(self.url).database or "").parent
        return not self.is_sqlite or shutil.disk_usage(folder).free >= _ROOM

    def close(self) -> None:
        """Closes the pool."""
        self.engine.dispose()


def _leave_standbys(engine: Engine) -> None:
    """A server that lost its role keeps answering: its connections are good for nothing more."""

    @event.listens_for(engine, "handle_error")
    def _handle_error(context: ExceptionContext) -> None:
        if sqlstate_of(context.original_exception) == READ_ONLY:
            context.is_disconnect = True


def _keep_private(engine: Engine, file: Path) -> None:
    """The file is for its owner's eyes alone: it holds key hashes and every tenant's annotations.
    SQLite gives the files beside it the same mode."""

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        # One of another owner, who then decides.
        with suppress(FileNotFoundError, PermissionError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)


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
