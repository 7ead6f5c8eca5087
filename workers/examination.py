"""What every step of a worker needs, tried out once."""

from services.database.engine import Database
from services.database.migrate import require_schema
from services.storage import ObjectStore


def examine(database: Database, store: ObjectStore) -> None:
    """Does once what every step needs.

    Raises:
        SettingsError: the database has the schema of another version.
        StorageRefused: the store takes no calls of this process.
        Unavailable, StorageUnavailable: they are away, which is no fault of this worker.
    """
    require_schema(database)
    store.try_out()
