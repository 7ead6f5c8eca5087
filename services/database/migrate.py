"""Brings the database to the newest schema, with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.database.engine import Database
from services.settings import SettingsError

#: Seconds that one step of a migration may take, or wait for another process that migrates.
_PATIENCE = 3600.0


def migrate(database: Database) -> None:
    """Applies every migration that is missing; safe to call at any time and twice at once.

    Raises:
        Unavailable: the database is away.
    """
    config = _config()
    with database.write(_PATIENCE) as connection:
        if not database.is_sqlite:
            # Two processes that start together would otherwise both create tables.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(727277)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_newest(database: Database) -> None:
    """Sees to it that `migrate` has run.

    Raises:
        SettingsError: the schema is older, or newer, than this version of Cartouche.
        Unavailable: the database is away.
    """
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    with database.read() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != newest:
        raise SettingsError(
            f"the database is at schema {found or 'none'}, and this version needs {newest}; "
            "run `cartouche migrate` first"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
