"""Collecting content: objects of the images bucket go when no image and no export needs them.

An object is removed in three steps, each safe to repeat and to be overtaken.

1. Whoever deletes or replaces an image notes its object as released, in the same transaction.
2. The object is condemned, with the row by which others find it, where no image refers to it and
   no export has a snapshot from before its release. Who is about to refer to it holds the
   lock on that row meanwhile (`services.catalog.content.settle_contents`). Nobody can
   find a condemned object again, and its key never comes again.
3. It is removed from the store in a later round. Version 0.2.0 did not lock that row, and put back
   what was imported at the very moment: such an object is no longer condemned.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from services.catalog.content import ReleasedState
from services.database.clock import now, now_once
from services.database.engine import Database
from services.database.tables import contents, exports, images, released_objects
from services.exports.model import Stage, Status
from services.storage import ObjectStore

#: Bytes that somebody has begun to store again are recorded within this time, or not at all:
#: longer than the longest call.
PIN = timedelta(days=1)
#: Objects that are looked at in one transaction.
_SLICE = 200
_SEEN_AT_ONCE = 5_000
#: Seconds by which the database's clock may be set back.
_CLOCK_STEP = 60.0


def collect(database: Database, store: ObjectStore, slices: int, *, pin: timedelta = PIN) -> None:
    """One round: removes what an earlier one condemned, and condemns what nothing needs, each in
    so many short slices at most.

    Raises:
        StorageError: as the store says.
        Unavailable: the database is away.
    """
    for _ in range(slices):
        if not _remove(database, store):
            break
    _see(database)
    left = slices
    for organization_id in _owners(database):
        while left and _condemn(database, organization_id, pin):
            left -= 1


def _is(state: ReleasedState) -> ColumnElement[bool]:
    return released_objects.c.state == state


def _see(database: Database) -> None:
    """Takes down that releases are committed: whoever takes a snapshot from now on does not see
    what was released."""
    unseen = (
        select(released_objects.c.object_key)
        .where(_is(ReleasedState.released))
        .limit(_SEEN_AT_ONCE)
    )
    with database.read() as connection:
        if connection.execute(unseen.limit(1)).first() is None:
            return
    with database.write() as connection:
        connection.execute(
            released_objects.update()
            .where(released_objects.c.object_key.in_(unseen))
            .values(state=ReleasedState.seen, seen_at=now())
        )


def _owners(database: Database) -> Iterator[str]:
    """Organizations of which objects were released, one after the other."""
    owner = released_objects.c.organization_id
    last: str | None = ""
    while last is not None:
        following = (
            select(owner).where(_is(ReleasedState.seen), owner > last).order_by(owner).limit(1)
        )
        with database.read() as connection:
            last = connection.scalar(following)
        if last is not None:
            yield last


def _condemn(database: Database, organization_id: str, pin: timedelta) -> bool:
    """Looks whether anything needs the next released objects; False: none is ready."""
    ready = _ready(organization_id, pin)
    with database.read() as connection:
        found = connection.execute(
            select(released_objects.c.object_key, released_objects.c.sha256)
            .where(ready)
            .order_by(released_objects.c.seen_at)
            .limit(_SLICE)
        ).all()
    if not found:
        return False
    hashes = sorted({row.sha256 for row in found})
    with database.write() as connection:
        # Who records images locks the same rows in the same order: afterwards either an image
        # refers to an object, or nobody can find it any more.
        connection.execute(
            select(contents.c.sha256)
            .where(contents.c.organization_id == organization_id, contents.c.sha256.in_(hashes))
            .order_by(contents.c.sha256)
            .with_for_update()
        )
        # What was released again meanwhile is not ready any more.
        among = released_objects.c.object_key.in_([row.object_key for row in found])
        still = connection.execute(
            select(
                released_objects.c.object_key, released_objects.c.sha256, _is_used().label("used")
            ).where(among, ready)
        ).all()
        used = [row.object_key for row in still if row.used]
        connection.execute(released_objects.delete().where(released_objects.c.object_key.in_(used)))
        unused = [row for row in still if not row.used]
        keys = [row.object_key for row in unused]
        connection.execute(
            contents.delete().where(
                contents.c.organization_id == organization_id,
                contents.c.sha256.in_([row.sha256 for row in unused]),
                contents.c.object_key.in_(keys),
            )
        )
        connection.execute(
            released_objects.update()
            .where(released_objects.c.object_key.in_(keys))
            .values(state=ReleasedState.condemned)
        )
    return True


def _ready(organization_id: str, pin: timedelta) -> ColumnElement[bool]:
    """Of a released object: every export took its snapshot later, and nobody is about to store
    the same bytes again."""
    oldest = (
        # Version 0.2.0 did not take down when.
        select(func.min(func.coalesce(exports.c.snapshot_at, 0)))
        .where(
            exports.c.organization_id == organization_id,
            ~exports.c.deleted,
            or_(
                and_(exports.c.stage != Stage.done, exports.c.status != Status.pending),
                # It may be retried.
                and_(exports.c.status == Status.failed, exports.c.staged),
            ),
        )
        .scalar_subquery()
    )
    pinned = exists().where(
        contents.c.organization_id == organization_id,
        contents.c.sha256 == released_objects.c.sha256,
        contents.c.pinned_at > now_once() - pin.total_seconds(),
    )
    return and_(
        _is(ReleasedState.seen),
        released_objects.c.organization_id == organization_id,
        or_(oldest.is_(None), released_objects.c.seen_at < oldest - _CLOCK_STEP),
        ~pinned,
    )


def _is_used() -> ColumnElement[bool]:
    """Of a released object: an image refers to it."""
    return exists().where(
        images.c.sha256 == released_objects.c.sha256,
        images.c.object_key == released_objects.c.object_key,
    )


def _remove(database: Database, store: ObjectStore) -> bool:
    """Removes condemned objects from the store; False: there is none."""
    query = (
        select(released_objects.c.object_key, _is_used().label("used"))
        .where(_is(ReleasedState.condemned))
        .limit(_SLICE)
    )
    with database.read() as connection:
        found = connection.execute(query).all()
    if not found:
        return False
    keys: Sequence[str] = [row.object_key for row in found if not row.used]
    store.delete_many(store.images_bucket, keys)
    with database.write() as connection:
        connection.execute(
            released_objects.delete().where(
                released_objects.c.object_key.in_([row.object_key for row in found]),
                _is(ReleasedState.condemned),
            )
        )
    return True
