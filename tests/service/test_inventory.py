"""Bucket and record, compared in both directions."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from services.database.engine import Database
from services.database.tables import exports
from services.exports.inventory import take_inventory
from services.exports.model import Status
from services.storage import ObjectStore
from tests.exports import object_store
from tests.service.record import Tenant
from tests.stack import Production

NOW = timedelta()


@pytest.fixture
def store(production: Production) -> Iterator[ObjectStore]:
    """Buckets in which others have objects too."""
    with object_store(production) as opened:
        yield opened


def test_what_does_not_fit_is_found_and_removed(empty_record: Database, store: ObjectStore) -> None:
    tenant, other = (Tenant.make(empty_record, name) for name in ("tenant", "other"))
    complete, missing, running = (tenant.create() for _ in range(3))
    with empty_record.write() as connection:
        connection.execute(
            exports.update()
            .where(exports.c.id.in_((complete, missing)))
            .values(status=Status.completed, completed_at=0)
        )
    bucket, orphan, foreign = store.exports_bucket, str(uuid.uuid4()), str(uuid.uuid4())
    kept = [
        f"{tenant.id}/{complete}/archive.zip",
        f"{tenant.id}/{running}/staging/manifest-1-1",
        # Of another Cartouche.
        f"{foreign}/{orphan}/archive.zip",
    ]
    lost = [f"{other.id}/{orphan}/archive.zip", f"{other.id}/{orphan}/staging/1"]
    for key in (*kept, *lost):
        store.put(bucket, key, b"12345")
    known_upload = store.create_upload(f"{tenant.id}/{running}/archive.zip")
    with empty_record.write() as connection:
        connection.execute(
            exports.update().where(exports.c.id == running).values(upload_id=known_upload)
        )
    store.create_upload(f"{other.id}/{orphan}/archive.zip")
    store.create_upload(f"{foreign}/{orphan}/archive.zip")

    # What is young may be on its way.
    young = take_inventory(empty_record, store)
    assert (young.orphans, young.uploads) == ([], [])
    assert young.missing == [missing]
    found = take_inventory(empty_record, store, margin=NOW)
    assert (found.orphans, found.orphan_objects, found.orphan_bytes) == ([orphan], 2, 10)
    assert found.missing == [missing]
    assert found.uploads == [f"{other.id}/{orphan}/archive.zip"]
    assert not found.is_clean

    take_inventory(empty_record, store, margin=NOW, removes=True)
    again = take_inventory(empty_record, store, margin=NOW)
    assert (again.orphans, again.uploads, again.missing) == ([], [], [missing])
    assert all(store.stat(bucket, key) for key in kept)
    assert not any(store.stat(bucket, key) for key in lost)
    uploads = {upload.key for upload in store.list_uploads()}
    assert f"{foreign}/{orphan}/archive.zip" in uploads
    for key in kept:
        store.delete(bucket, key)
    for upload in store.list_uploads():
        if upload.key.startswith((tenant.id, foreign)):
            store.abort_upload(upload.key, upload.upload_id)
