"""Uses a store whose buckets are named in the host, in a process of its own: names are looked up in
a file, which has no address for the store itself once the buckets are made.

Run as `python -m tests.service.storage.virtual_host HOSTS CONFIG`: the file of hosts, and the
adapter's configuration in JSON.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from services.storage import ObjectStore, StorageConfig
from tests.service.storage.stores import EXPORTS, IMAGES, PART, noise
from tests.service.storage.test_links import open_url


def main(hosts: Path, config: StorageConfig) -> None:
    """Goes through every client of the adapter."""
    name = urlsplit(config.endpoint).hostname
    buckets = "".join(f"127.0.0.1 {bucket}.{name}\n" for bucket in (IMAGES, EXPORTS))
    # S3 makes buckets by their path alone.
    hosts.write_text(f"{buckets}127.0.0.1 {name}\n")
    store = ObjectStore(config)
    store.ensure_buckets()
    hosts.write_text(buckets)
    store.ready()
    data = noise(1000)
    store.put(IMAGES, "a/b", data)
    assert store.get(IMAGES, "a/b") == data
    assert b"".join(store.stream(IMAGES, "a/b")) == data
    assert store.read_range(IMAGES, "a/b", 10, 5) == data[10:15]
    assert [b"".join(chunks) for chunks in store.read_many(IMAGES, [("a/b", 1000)])] == [data]
    assert [info.key for info in store.list(IMAGES)] == ["a/b"]
    upload = store.create_upload("x.zip")
    assert [found.upload_id for found in store.list_uploads("x.zip")] == [upload]
    stored = [(1, store.upload_part("x.zip", upload, 1, PART, noise(PART)))]
    store.complete_upload("x.zip", upload, stored)
    link = store.sign_download("x.zip", "x.zip", timedelta(minutes=5))
    assert urlsplit(link).hostname == f"{EXPORTS}.{name}"
    assert open_url(link)[2] == noise(PART)
    assert store.delete_prefix(IMAGES, "a/") == 1
    assert store.stat(IMAGES, "a/b") is None
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), StorageConfig(**json.loads(sys.argv[2])))
