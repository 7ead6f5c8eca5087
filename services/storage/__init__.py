"""The object store: the only room that knows S3.

Three clients share the work, each where it is best: the MinIO SDK for control calls and
for signing (local arithmetic), obstore for many small objects, and plain HTTP with
signed calls for large bodies, which are not held in memory, and go with their CRC-32.
It speaks plain S3, tested on MinIO and on rclone's server.
"""

from services.storage.config import StorageConfig
from services.storage.errors import (
    CopyRefused,
    ObjectNotFound,
    StorageError,
    StorageMisconfigured,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)
from services.storage.multipart import Extract, UploadInfo
from services.storage.pages import PagesRefused
from services.storage.retries import retried
from services.storage.side_by_side import WriteBehind
from services.storage.store import ObjectInfo, ObjectStore
from services.storage.sums import crc32

__all__ = [
    "CopyRefused",
    "Extract",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "PagesRefused",
    "StorageConfig",
    "StorageError",
    "StorageMisconfigured",
    "StorageRefused",
    "StorageUnavailable",
    "UploadInfo",
    "UploadNotFound",
    "WriteBehind",
    "crc32",
    "retried",
]
