"""Objects and archives that the store shall encrypt."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar
from zlib import crc32

import pytest

from services.storage import ObjectStore
from tests import parts
from tests.needs import running
from tests.service.storage.stores import EXPORTS, IMAGES, PART, config_of, noise
from tests.service.storage.test_links import open_url


class EncryptingMinIO(parts.MinIO):
    """MinIO with a key."""

    settings: ClassVar = {"MINIO_KMS_SECRET_KEY": f"its-key:{b64encode(noise(32)).decode()}"}


@pytest.fixture(scope="module")
def server() -> Iterator[parts.ObjectStore]:
    yield from running(EncryptingMinIO)


@pytest.mark.parametrize(
    ("encryption", "key", "expected"),
    [
        ("", "", {}),
        ("AES256", "", {"x-amz-server-side-encryption": "AES256"}),
        (
            "aws:kms",
            "its-key",
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:its-key",
            },
        ),
    ],
)
def test_everything_is_encrypted_as_asked_for(
    server: parts.ObjectStore, encryption: str, key: str, expected: dict[str, str]
) -> None:
    config = replace(config_of(server), encryption=encryption, kms_key_id=key)
    store = ObjectStore(config)
    try:
        store.ensure_buckets()
        # Parts first: nothing is known of the store's ETags yet.
        upload = store.create_upload("archive.zip")
        first, second = noise(PART, 1), noise(1000, 2)
        stored = [
            (1, store.upload_part("archive.zip", upload, 1, PART, iter([first]), crc32(first))),
            (2, store.upload_part("archive.zip", upload, 2, len(second), iter([second]))),
        ]
        store.complete_upload("archive.zip", upload, stored)
        store.put(IMAGES, "small", second)
        store.put_stream(IMAGES, "large", PART, iter([first]), crc32(first))
        for bucket, name, content in (
            (EXPORTS, "archive.zip", first + second),
            (IMAGES, "small", second),
            (IMAGES, "large", first),
        ):
            known = server.client().stat_object(bucket, name).metadata or {}
            told = {
                header.lower(): value
                for header, value in known.items()
                if header.lower().startswith("x-amz-server-side-encryption")
            }
            assert told == expected
            assert store.get(bucket, name) == content
            assert b"".join(store.stream(bucket, name, is_checked=True)) == content
        link = store.sign_download("archive.zip", "a.zip", timedelta(minutes=5))
        assert open_url(link)[2] == first + second
    finally:
        store.close()
