"""What the settings name: database, object store and broker."""

from services.database.engine import Database
from services.settings import Settings, SettingsError
from services.storage import StorageConfig
from services.storage.credentials import platform_has_any


def open_database(settings: Settings, threads: int = 1) -> Database:
    """The record, for a process in which so many threads may use it at the same time.

    Raises:
        SettingsError: the pool of the settings is smaller.
    """
    pool = settings.database_pool or threads
    if pool < threads:
        raise SettingsError(
            f"CARTOUCHE_DATABASE_POOL is {pool}, and {threads} threads of this process use the "
            f"database. Give {threads} or more, or leave it out: each then has a connection."
        )
    database = Database(settings.sqlalchemy_url, pool)
    database.show_pool()
    return database


def storage_config(settings: Settings) -> StorageConfig:
    """The object store of the settings, which must name one.

    Without keys the platform's own credentials are taken, where it may have any. Links are signed
    with the store's own credentials where no signing key is set.

    Raises:
        SettingsError: a setting is missing or malformed.
    """
    needed = ["s3_endpoint", "s3_access_key", "s3_secret_key"]
    keyless = not settings.s3_access_key and not settings.s3_secret_key
    if keyless and platform_has_any(settings.s3_endpoint):
        needed = ["s3_endpoint"]
    for name in needed:
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
            ca_bundle=settings.s3_ca_bundle,
            addressing_style=settings.s3_addressing_style,
            encryption=settings.s3_server_side_encryption,
            kms_key_id=settings.s3_kms_key_id,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def shared_broker(settings: Settings) -> str:
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
