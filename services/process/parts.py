"""The parts that processes are made of, from one Settings object."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import dramatiq

from services.database.engine import Database
from services.database.migrate import require_newest
from services.doorbell import Doorbell, connect_broker
from services.exports.reconciler import Reconciler
from services.settings import Settings, SettingsError
from services.storage import ObjectStore, StorageConfig


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server and the workers work with."""

    database: Database
    store: ObjectStore
    broker: dramatiq.Broker
    doorbell: Doorbell
    #: Not started.
    reconciler: Reconciler


@contextmanager
def assembled(
    settings: Settings, database: Database, store_config: StorageConfig, broker_url: str
) -> Iterator[Parts]:
    """The parts around a database, closed at the end of the block, which the database outlives.

    Raises:
        SettingsError: the URL names no broker Cartouche knows.
    """
    try:
        broker = connect_broker(broker_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    with ExitStack() as stack:
        store = stack.enter_context(closing(ObjectStore(store_config)))
        doorbell = stack.enter_context(closing(Doorbell(broker)))
        reconciler = Reconciler(database, doorbell, store, settings)
        yield Parts(database, store, broker, doorbell, reconciler)


@contextmanager
def shared_parts(settings: Settings) -> Iterator[Parts]:
    """The parts of a process that shares database, store and broker with other processes.

    Raises:
        SettingsError: the database is not at the schema of this version, or a setting is
            missing or malformed.
        Unavailable: the database is away.
    """
    with closing(open_database(settings)) as database:
        require_newest(database)
        config, broker_url = storage_config(settings), _shared_broker(settings)
        with assembled(settings, database, config, broker_url) as parts:
            yield parts


def open_database(settings: Settings) -> Database:
    """The record."""
    return Database(settings.sqlalchemy_url, settings.database_pool)


def storage_config(settings: Settings) -> StorageConfig:
    """The object store of the settings, which must name one.

    Links are signed with the store's own key where no signing key is set.

    Raises:
        SettingsError: a setting is missing or malformed.
    """
    for name in ("s3_endpoint", "s3_access_key", "s3_secret_key"):
        if not getattr(settings, name):
            raise SettingsError(
                f"CARTOUCHE_{name.upper()} is not set. Give the endpoint and keys of an S3 "
                "store, or use `cartouche run`, which starts one of its own."
            )
    try:
        return StorageConfig(
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint or settings.s3_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            signing_access_key=settings.s3_signing_access_key or settings.s3_access_key,
            signing_secret_key=settings.s3_signing_secret_key or settings.s3_secret_key,
            images_bucket=settings.s3_images_bucket,
            exports_bucket=settings.s3_exports_bucket,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _shared_broker(settings: Settings) -> str:
    """The broker of a process that runs one part: it must be shared with the others.

    Raises:
        SettingsError: it is the in-process one.
    """
    if settings.embedded_broker:
        raise SettingsError(
            "CARTOUCHE_BROKER_URL is not set. Give amqp://… or redis://…, or use "
            "`cartouche run`, which needs no broker."
        )
    return settings.broker_url
