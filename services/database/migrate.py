"""The database's schema: brought to the newest, and told whether this version works with it.

Migrations expand: they add what the code of their version needs, and leave what older code uses.
What nobody uses any more goes with a later version. So processes of a version go on while the next
one's migrations run, and beside its processes. Each migration says by `WORKS_WITH` which is the
oldest schema whose code works on its own; the newest one's word stands in the database, where
older code, which does not know that migration, finds it.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, select

from services.database.engine import Database
from services.database.tables import compatibility
from services.settings import SettingsError

#: Seconds that one step of a migration may take, or wait for another process that migrates.
_PATIENCE = 3600.0


def migrate(database: Database) -> bool:
    """Applies every migration that is missing; safe to call at any time and twice at once.

    False: there was nothing to do, as the schema is of a newer version that keeps this one
    working.

    Raises:
        SettingsError: the schema is of a newer version, on which this one does not work.
        Unavailable: the database is away.
    """
    config = _config()
    with database.write(_PATIENCE) as connection:
        if not database.is_sqlite:
            # Two processes that start together would otherwise both create tables.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(727277)")
        known = _Known(ScriptDirectory.from_config(config))
        if known.is_ahead(connection, _schema_of(connection)):
            return False
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(compatibility.delete())
        connection.execute(compatibility.insert().values(oldest_schema=known.works_with))
        return True


def require_schema(database: Database) -> None:
    """Sees to it that this version works with the schema: its own, or a newer one that says so.

    Raises:
        SettingsError: the schema is older, or so new that it does not keep this version working.
        Unavailable: the database is away.
    """
    known = _Known(ScriptDirectory.from_config(_config()))
    with database.read() as connection:
        found = _schema_of(connection)
        if known.is_ahead(connection, found):
            return
    if found != known.newest:
        raise SettingsError(
            f"the database is at schema {found or 'none'}, and this version needs {known.newest}; "
            "run `cartouche migrate` first"
        )


class _Known:
    """The schemas that this version knows."""

    def __init__(self, scripts: ScriptDirectory) -> None:
        head = scripts.get_revision("head")
        assert head is not None
        self._scripts = scripts
        self.newest: str = head.revision
        self.works_with: str = head.module.WORKS_WITH

    def is_ahead(self, connection: Connection, found: str | None) -> bool:
        """Whether the schema that was found is none of these, and keeps this version working.

        Raises:
            SettingsError: it is none of these, and does not.
        """
        if found is None or self._knows(found):
            return False
        oldest = connection.scalar(select(compatibility.c.oldest_schema))
        # Numbers of four digits, in the order in which they were made.
        if oldest is None or oldest > self.newest:
            raise SettingsError(
                f"the database is at schema {found} of a newer version, which needs code of "
                f"schema {oldest or found} or newer, and this version's is {self.newest}; install "
                "the newer version, or restore a backup from before its migration"
            )
        return True

    def _knows(self, revision: str) -> bool:
        try:
            self._scripts.get_revision(revision)
        except CommandError:
            return False
        return True


def _schema_of(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
