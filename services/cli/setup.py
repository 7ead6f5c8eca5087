"""`cartouche migrate`: what a version needs before its processes start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.cli.wiring import load_settings

if TYPE_CHECKING:
    from services.storage import ObjectStore


def migrate() -> None:
    """Bring the database to the newest schema, and make the buckets if they are missing.

    Lets pages of CARTOUCHE_S3_CORS_ORIGINS read archives by their links, where the store can.
    """
    from contextlib import closing

    from services.database.migrate import migrate as migrate_database
    from services.process.configured import open_database, storage_config
    from services.storage import ObjectStore

    settings = load_settings()
    if migrate_database(open_database(settings)):
        print("the database is at the newest schema")
    else:
        print("the database is at the schema of a newer version, which keeps this one working")
    if not settings.embedded_store:
        with closing(ObjectStore(storage_config(settings))) as store:
            store.ensure_buckets()
            print("the buckets are there")
            if settings.page_origins:
                print(_allow_pages(store, settings.page_origins))


def _allow_pages(store: "ObjectStore", origins: Sequence[str]) -> str:
    from services.storage import PagesRefused

    try:
        store.allow_pages(origins)
    except PagesRefused as why:
        return (
            f"no rule (CORS) is set on {store.exports_bucket}: {why}. Whether the console's look "
            "inside works, `cartouche doctor` says"
        )
    return f"pages of {', '.join(origins)} may read archives by their links (CORS)"
