"""What the tests of the object store share: where it is, and bytes to put there."""

import hashlib
from collections.abc import Iterator

from services.storage import StorageConfig
from tests import parts

IMAGES, EXPORTS = "images", "exports"
MIB = 1024 * 1024
PART = 5 * MIB


def config_of(server: parts.ObjectStore) -> StorageConfig:
    """How the adapter reaches the server. MinIO has a user that can only read, for links."""
    links = server.signing_user(EXPORTS)
    return StorageConfig(
        endpoint=server.endpoint,
        public_endpoint=server.endpoint,
        region=parts.REGION,
        access_key=server.credentials.access_key,
        secret_key=server.credentials.secret_key,
        signing_access_key=links.access_key,
        signing_secret_key=links.secret_key,
        images_bucket=IMAGES,
        exports_bucket=EXPORTS,
    )


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that differ with the seed."""
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


def broken_body() -> Iterator[bytes]:
    """A body that breaks off after 1 MiB."""
    yield noise(MIB)
    raise InterruptedError("the source broke")
