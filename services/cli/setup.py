"""`cartouche migrate`: what a version needs before its processes start."""

from services.cli.wiring import load_settings


def migrate() -> None:
    """Bring the database to the newest schema, and make the buckets if they are missing."""
    from services.database.migrate import migrate as migrate_database
    from services.process.configured import open_database, storage_config
    from services.storage import ObjectStore

    settings = load_settings()
    if migrate_database(open_database(settings)):
        print("the database is at the newest schema")
    else:
        print("the database is at the schema of a newer version, which keeps this one working")
    if not settings.embedded_store:
        ObjectStore(storage_config(settings)).ensure_buckets()
        print("the buckets are there")
