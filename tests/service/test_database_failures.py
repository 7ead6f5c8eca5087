"""What passes by itself is Unavailable, and nobody waits for the database without end."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from services.database.bounds import STATEMENT
from services.database.engine import Database
from services.errors import Unavailable
from services.settings import Settings
from tests.parts import PostgreSQL

#: Seconds in which every wait must have ended.
PATIENCE = 20.0


@pytest.fixture(scope="module")
def url(postgresql: PostgreSQL) -> str:
    """A database with one row to quarrel about."""
    url = postgresql.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE numbers (id INT PRIMARY KEY, value INT)")
        connection.execute("INSERT INTO numbers VALUES (1, 0), (2, 0)")
    return url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The database as a process uses it, with two connections at most."""
    opened = open_database(url, 2)
    try:
        yield opened
    finally:
        opened.close()


def open_database(url: str, pool_size: int) -> Database:
    return Database(Settings(database_url=url).sqlalchemy_url, pool_size)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("25006", "does not answer"),
        ("53300", "does not answer"),
        ("57P01", "does not answer"),
        ("57P03", "does not answer"),
        ("40001", "busy"),
        ("40P01", "busy"),
        ("55P03", "busy"),
        ("57014", "busy"),
    ],
)
def test_what_passes_is_unavailable(database: Database, code: str, message: str) -> None:
    with pytest.raises(Unavailable, match=message) as raised, database.write() as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")
    assert raised.value.reason == "DATABASE_UNAVAILABLE"
    database.ping()


@pytest.mark.parametrize("code", ["22012", "23505", "42P01", "P0001"])
def test_what_does_not_pass_stays_an_error_of_our_own(database: Database, code: str) -> None:
    with pytest.raises(DBAPIError), database.write() as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


def test_a_session_that_the_server_ends_is_unavailable_once(database: Database, url: str) -> None:
    def interrupted() -> None:
        with database.write() as connection:
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with psycopg.connect(url) as administrator:
                administrator.execute("SELECT pg_terminate_backend(%s)", (pid,))
            connection.exec_driver_sql("SELECT 1")

    with pytest.raises(Unavailable):
        interrupted()
    database.ping()


def test_a_server_that_became_a_standby_is_left(database: Database, url: str) -> None:
    """Its connections answer on, but a name may lead to another server meanwhile."""
    name = url.rpartition("/")[2]

    def set_read_only(value: str) -> None:
        with psycopg.connect(url, autocommit=True) as administrator:
            # In this one it is set already.
            administrator.execute("SET default_transaction_read_only = off")
            administrator.execute(
                f"ALTER DATABASE {name} SET default_transaction_read_only = {value}".encode()
            )

    def write() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE numbers SET value = value + 1 WHERE id = 1")

    set_read_only("on")
    try:
        database.ping()
        with pytest.raises(Unavailable):
            write()
    finally:
        set_read_only("off")
    write()


def test_a_lock_is_not_waited_for_without_end(database: Database) -> None:
    change = "UPDATE numbers SET value = value + 1 WHERE id = 1"
    with database.write() as holder:
        holder.exec_driver_sql(change)
        with pytest.raises(Unavailable, match="busy"), database.write() as waiting:
            waiting.exec_driver_sql(change)
    with database.write() as connection:
        connection.exec_driver_sql(change)


def test_a_deadlock_ends_one_of_the_two(database: Database) -> None:
    def change(first: int, second: int) -> bool:
        try:
            with database.write() as connection:
                for number in (first, second):
                    connection.exec_driver_sql(
                        f"UPDATE numbers SET value = value + 1 WHERE id = {number}"
                    )
                    time.sleep(0.5)
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(change, 1, 2), pool.submit(change, 2, 1)]
        assert sorted(end.result(PATIENCE) for end in ends) == [False, True]


def test_a_long_statement_ends_and_a_long_read_does_not(url: str) -> None:
    """A FETCH from a cursor is a statement of its own, however long the whole read takes."""
    database = open_database(url, 3)
    long = STATEMENT + 2

    def one_statement() -> None:
        with database.read() as connection:
            connection.exec_driver_sql(f"SELECT pg_sleep({long})")

    def one_statement_of_the_patient() -> None:
        with database.snapshot(3 * long) as connection:
            connection.exec_driver_sql(f"SELECT pg_sleep({long})")
        # Patience ends with the transaction.
        with database.read() as connection:
            limit = connection.exec_driver_sql("SHOW statement_timeout").scalar()
        assert limit == f"{STATEMENT:g}s"

    def many_fetches() -> int:
        with database.snapshot() as connection:
            query = f"SELECT pg_sleep({long / 20}) FROM generate_series(1, 20)"
            options = {"stream_results": True, "yield_per": 2}
            return len(list(connection.exec_driver_sql(query, execution_options=options)))

    try:
        with ThreadPoolExecutor(3) as pool:
            ended = pool.submit(one_statement)
            patient = pool.submit(one_statement_of_the_patient)
            fetched = pool.submit(many_fetches)
            with pytest.raises(Unavailable, match="busy"):
                ended.result(PATIENCE)
            patient.result(PATIENCE)
            assert fetched.result(PATIENCE) == 20
    finally:
        database.close()


@pytest.mark.parametrize("on", ["postgresql", "sqlite"])
def test_more_threads_than_connections_are_told_to_come_back(
    on: str, url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if on == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('pool') / 'small.db'}"
    database = open_database(url, 2)
    try:
        with database.read(), database.read(), pytest.raises(Unavailable, match="in use"):
            database.ping()
        database.ping()
    finally:
        database.close()


def test_a_read_has_no_transaction_and_a_connection_in_use_is_not_tried_out(url: str) -> None:
    """What calls wait for, and a machine at work makes each wait for: one round trip."""
    with psycopg.connect(url, autocommit=True) as observer:

        def seen(pid: int) -> tuple[str, str]:
            row = observer.execute(
                "SELECT state, query FROM pg_stat_activity WHERE pid = %s", [pid]
            ).fetchone()
            assert row is not None
            return row[0], row[1]

        database = open_database(url, 1)
        try:
            with database.read() as connection:
                pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                connection.exec_driver_sql("SELECT 42")
                assert seen(pid) == ("idle", "SELECT 42")
            with database.read():
                assert seen(pid) == ("idle", "SELECT 42")
            with database.write() as connection:
                connection.exec_driver_sql("UPDATE numbers SET value = 1 WHERE id = 2")
                assert seen(pid)[0] == "idle in transaction"
            assert seen(pid) == ("idle", "COMMIT")
            with database.snapshot() as connection:
                before = connection.exec_driver_sql("SELECT value FROM numbers WHERE id = 2")
                assert before.scalar_one() == 1
                assert seen(pid)[0] == "idle in transaction"
            time.sleep(1.2)
            with database.read():
                # One that was idle for a while is.
                assert seen(pid) not in (("idle", "ROLLBACK"), ("idle", "COMMIT"))
        finally:
            database.close()


def test_connections_that_broke_while_nobody_used_them_are_no_failure(url: str) -> None:
    database = open_database(url, 3)
    try:
        with database.read(), database.read(), database.read() as connection:
            connection.exec_driver_sql("SELECT 1")
        with psycopg.connect(url, autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        time.sleep(1.2)
        for _ in range(3):
            database.ping()
    finally:
        database.close()
