"""The buckets, and stores that do not let us in."""

from dataclasses import replace

import pytest

from services.storage import ObjectStore, StorageConfig, StorageRefused
from tests.service.storage.stores import IMAGES


def test_buckets_are_made_once_and_the_store_is_ready(store: ObjectStore) -> None:
    store.ensure_buckets()
    store.ready()


def test_ready_names_the_missing_bucket(store: ObjectStore) -> None:
    other = ObjectStore(replace(store.config, images_bucket="absent"))
    with pytest.raises(StorageRefused, match=r"absent.*CARTOUCHE_S3_IMAGES_BUCKET") as caught:
        other.ready()
    assert caught.value.code == "NoSuchBucket"
    with pytest.raises(StorageRefused, match="absent"):
        other.get("absent", "key")
    other.close()


def test_wrong_credentials_are_refused_with_advice(store: ObjectStore) -> None:
    other = ObjectStore(replace(store.config, secret_key="wrong" * 4))
    store.put(IMAGES, "present", b"x")
    with pytest.raises(StorageRefused):
        other.ready()
    for call in (
        lambda: other.get(IMAGES, "present"),
        lambda: other.put(IMAGES, "present", b"y"),
        lambda: list(other.list(IMAGES)),
        lambda: other.create_upload("k"),
        lambda: list(other.list_uploads()),
    ):
        with pytest.raises(StorageRefused, match="CARTOUCHE_S3_SECRET_KEY"):
            call()
    other.close()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://x", "http://", "http://x/path"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    fields = ("x",) * 7
    with pytest.raises(ValueError, match="CARTOUCHE_S3_PUBLIC_ENDPOINT"):
        StorageConfig("http://127.0.0.1:9000", endpoint, *fields)
