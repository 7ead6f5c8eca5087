"""How long PostgreSQL may take.

Three bounds hang together. The server ends a statement that takes too long, and says so. A
network that swallows everything says nothing: the kernel gives such a connection up where nobody
acknowledges what it sends, and where somebody does, as a proxy or a server that stands still,
the driver gives it up after a silence that no statement within its bound can cause.
"""

import time
from collections.abc import Generator, Mapping
from typing import Any, TypeVar, cast

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, Engine, event, func, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

#: Seconds that one statement may take, a FETCH from a cursor being one of its own.
STATEMENT = 8.0
#: Seconds that a statement waits for a lock: shorter, so that the error names the cause.
_LOCK = 7.0
#: Seconds after which the server lets go of the locks of a process that stands still in the
#: middle of a transaction.
_IDLE = 120.0
#: Seconds that the look takes with which a connection leaves the pool; and for which one needs none
#: that worked so recently: the look is a round trip, and what it does not see a statement does.
_PING = 2.0
_FRESH = 1.0
#: Seconds more than a statement may take until a silent server counts as away.
_SLACK = 1.0
_CONNECT = 5
_NETWORK: Mapping[str, int] = {
    "connect_timeout": _CONNECT,
    # Milliseconds.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}

RV = TypeVar("RV")


class _Silence(psycopg.OperationalError):
    """The server sent nothing for too long."""


class _BinaryCursor(psycopg.ServerCursor[Any]):
    """What streams a result takes it in binary: as text, annotations have twice the bytes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = psycopg.pq.Format.BINARY


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that closes itself where the server falls silent."""

    #: Seconds that a statement may take.
    patience: float = STATEMENT

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_cursor_factory = _BinaryCursor
        #: When it was last known to work.
        self.used_at = time.monotonic()

    def wait(self, gen: PQGen[RV], *args: Any, **kwargs: Any) -> RV:
        """As the driver's, which would wait for ever."""
        try:
            return super().wait(_listening(gen, self.patience + _SLACK), *args, **kwargs)
        except BaseException as error:
            # A thread that is told to end leaves its statement in the middle. Whoever then used
            # the connection once more, as SQLAlchemy after its ping, would raise another error.
            if isinstance(error, _Silence) or not isinstance(error, Exception):
                self.close()
            raise


def _listening(gen: PQGen[RV], seconds: float) -> Generator[Any, Any, RV]:
    """What `gen` yields and returns, as long as its socket is ready now and then."""
    heard_at = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                heard_at = now
            elif now - heard_at > seconds:
                raise _Silence(f"the server sent nothing for {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as end:
        value: RV = end.value
        return value


def network_options(url: URL) -> dict[str, int]:
    """What libpq is told of the network, as far as the URL does not say otherwise."""
    return {name: value for name, value in _NETWORK.items() if name not in url.query}


def use_bounds(engine: Engine) -> None:
    """Makes every connection of `engine` a bounded one."""

    @event.listens_for(engine, "do_connect")
    def _do_connect(
        dialect: Any, record: ConnectionPoolEntry, args: list[Any], options: dict[str, Any]
    ) -> BoundedConnection:
        return BoundedConnection.connect(*args, **options)

    @event.listens_for(engine, "connect")
    def _connect(connection: BoundedConnection, record: ConnectionPoolEntry) -> None:
        # Not as options of the connection: poolers refuse them.
        connection.autocommit = True
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false),"
            " set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false)",
            (_milliseconds(STATEMENT), _milliseconds(_LOCK), _milliseconds(_IDLE)),
        )
        connection.autocommit = False

    @event.listens_for(engine, "checkin")
    def _checkin(connection: BoundedConnection | None, record: ConnectionPoolEntry) -> None:
        if connection is not None:
            connection.used_at = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: BoundedConnection, record: ConnectionPoolEntry, proxy: Any) -> None:
        if time.monotonic() - connection.used_at > _FRESH:
            connection.patience = _PING
            try:
                engine.dialect.do_ping(cast(DBAPIConnection, connection))
            except psycopg.Error as error:
                # Those beside it in the pool are no better.
                raise InvalidatePoolError(str(error)) from error
        connection.patience = STATEMENT


def grant(connection: Connection, seconds: float) -> None:
    """Lets every statement of the transaction take so long, waiting for locks included."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, BoundedConnection)
    driver.patience = seconds
    value = _milliseconds(seconds)
    connection.execute(
        select(
            func.set_config("statement_timeout", value, True),
            func.set_config("lock_timeout", value, True),
        )
    )


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
