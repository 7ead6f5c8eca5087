"""Whether what Cartouche stands on is in order: one line for each part."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from services.database.clock import now
from services.database.engine import Database
from services.database.migrate import require_schema
from services.doorbell import connect_broker, reach
from services.exports.inventory import take_inventory
from services.process.configured import open_database, shared_broker, storage_config
from services.settings import Settings
from services.storage import ObjectStore, PagesRefused, StorageRefused

#: Seconds by which a clock may differ: S3 refuses signatures that are older than 15 minutes, and
#: links say when they end.
_CLOCK = 60.0


#: A page that is nowhere, to ask as where any may read.
_ANY_PAGE = "https://console.invalid"


class Grade(StrEnum):
    """How it is with a part; what is merely `LACKING` keeps nothing from its work."""

    WELL = "ok"
    LACKING = "LACKS"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis."""

    part: str
    grade: Grade
    says: str

    @property
    def is_well(self) -> bool:
        """Whether the part does what others stand on."""
        return self.grade is not Grade.WRONG


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Looks at each part in turn; one that is away keeps no other from being looked at.

    Raises:
        SettingsError: a setting is missing or malformed.
    """
    with (
        closing(open_database(settings)) as database,
        closing(ObjectStore(storage_config(settings))) as store,
    ):
        broker_url = shared_broker(settings)
        schema = _look("database", lambda: _schema(database))
        yield schema
        if schema.is_well:
            yield _look("clock", lambda: _clock(database))
        buckets = _look("object store", lambda: _buckets(store))
        yield buckets
        if buckets.is_well:
            yield _look("links", lambda: _links(store, settings))
            if settings.console:
                yield _look("look inside", lambda: _look_inside(store, settings))
        yield _look("broker", lambda: _broker(broker_url))
        if schema.is_well and buckets.is_well:
            yield _look("inventory", lambda: _inventory(database, store))


class _Unwell(Exception):
    """Something is wrong; the message says what."""


class _Lacking(Exception):
    """Something is missing that people like to have; the message says what."""


def _look(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, Grade.WELL, look())
    except _Lacking as lack:
        return Finding(part, Grade.LACKING, str(lack))
    except Exception as error:
        return Finding(part, Grade.WRONG, str(error).strip() or type(error).__name__)


def _schema(database: Database) -> str:
    require_schema(database)
    return "answers, and has a schema that this version works with"


def _clock(database: Database) -> str:
    before = time.time()
    with database.read() as connection:
        there = connection.scalar(now().select()) or 0.0
    apart = there - (before + time.time()) / 2
    if abs(apart) > _CLOCK:
        raise _Unwell(f"{abs(apart):.0f} seconds from that of the database: set it by NTP")
    return f"{abs(apart):.2f} seconds from that of the database"


def _buckets(store: ObjectStore) -> str:
    store.try_out(store.images_bucket)
    return "has both buckets, and takes, gives and removes objects"


def _links(store: ObjectStore, settings: Settings) -> str:
    if not settings.s3_signing_access_key:
        return (
            "signed with the keys of servers and workers, whose access key everybody sees who gets "
            "one: better with a pair that reads the exports bucket alone "
            "(CARTOUCHE_S3_SIGNING_ACCESS_KEY)"
        )
    try:
        may_write = store.try_links()
    except StorageRefused as error:
        raise _Unwell(
            f"the keys that sign them are refused ({error.code}): check "
            "CARTOUCHE_S3_SIGNING_ACCESS_KEY and CARTOUCHE_S3_SIGNING_SECRET_KEY, which must be "
            "allowed to read the exports bucket"
        ) from error
    more = ", and write it: take that from them, as links show their access key"
    return f"the keys that sign them read the exports bucket{more if may_write else ' alone'}"


def _look_inside(store: ObjectStore, settings: Settings) -> str:
    """The console's: a page of another origin than the store reads parts of archives."""
    origins = settings.page_origins
    asked = [_ANY_PAGE if origin == "*" else origin for origin in origins] or [_ANY_PAGE]
    address = store.config.public_endpoint
    try:
        for origin in asked:
            store.try_page(origin)
    except PagesRefused as why:
        raise _Lacking(
            f"the console cannot show what archives hold, as the store at {address} does not let "
            f"its page read them: {why}. Downloads work without. docs/stores.md, *Pages*, says "
            "what to set where"
        ) from why
    return f"the store at {address} lets pages of {', '.join(origins) or 'any origin'} read links"


def _broker(url: str) -> str:
    broker = connect_broker(url)
    try:
        reach(broker)
    finally:
        broker.close()
    return "answers"


def _inventory(database: Database, store: ObjectStore) -> str:
    found = take_inventory(database, store)
    if not found.is_clean:
        raise _Unwell(
            f"{found.orphan_objects} objects ({found.orphan_bytes} bytes) of {len(found.orphans)} "
            f"exports that are not known, {len(found.uploads)} uploads that nobody waits for, "
            f"{found.stray_images} images ({found.stray_bytes} bytes) of no record (all these are "
            f"removed in time), {len(found.missing)} archives and {len(found.missing_images)} "
            "images missing"
            + "".join(f"; export {export_id}" for export_id in found.missing[:5])
            + "".join(f"; image {sha256}" for sha256 in found.missing_images[:5])
        )
    return "nothing is left over, and no archive or image is missing"
