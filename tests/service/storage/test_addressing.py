"""Buckets in the path and in the host."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from services.storage import ObjectStore, StorageConfig
from tests import binaries, parts
from tests.needs import need_tool, running
from tests.service.storage.stores import config_of

NAME = "store.test"
ROOT = Path(__file__).parents[3]


class NamedMinIO(parts.MinIO):
    """MinIO that takes the first word of a host for a bucket."""

    settings: ClassVar = {"MINIO_DOMAIN": NAME}


@pytest.fixture
def server() -> Iterator[parts.ObjectStore]:
    yield from running(NamedMinIO)


def test_buckets_in_the_host(server: parts.ObjectStore, tmp_path: Path) -> None:
    if not binaries.is_root():
        pytest.skip("only root can give a process a file of hosts of its own")
    endpoint = f"http://{NAME}:{server.port}"
    config = dataclasses.asdict(config_of(server)) | {
        "endpoint": endpoint,
        "public_endpoint": endpoint,
        "addressing_style": "virtual",
    }
    hosts = tmp_path / "hosts"
    hosts.touch()
    program = [sys.executable, "-m", "tests.service.storage.virtual_host", str(hosts)]
    words = [need_tool("unshare"), "--mount", "sh", "-c"]
    words += ['mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(hosts)]
    done = subprocess.run(
        [*words, *program, json.dumps(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("style", "endpoint", "host", "path"),
    [
        ("auto", "https://s3.eu-central-1.amazonaws.com", "exports.s3.eu-central-1", "/k"),
        ("path", "https://s3.eu-central-1.amazonaws.com", "s3.eu-central-1", "/exports/k"),
        ("virtual", "https://s3.eu-central-1.amazonaws.com", "exports.s3.eu-central-1", "/k"),
        ("auto", "https://store.example.com", "store.example.com", "/exports/k"),
        ("virtual", "https://store.example.com", "exports.store.example.com", "/k"),
    ],
)
def test_links_name_the_bucket_where_it_is_looked_for(
    style: str, endpoint: str, host: str, path: str
) -> None:
    config = StorageConfig(
        endpoint=endpoint,
        public_endpoint=endpoint,
        region="eu-central-1",
        access_key="key",
        secret_key="secret",
        signing_access_key="links",
        signing_secret_key="secret",
        images_bucket="images",
        exports_bucket="exports",
        addressing_style=style,
    )
    store = ObjectStore(config)
    link = urlsplit(store.sign_download("k", "x.zip", timedelta(minutes=1)))
    store.close()
    assert (link.netloc.removesuffix(".amazonaws.com"), link.path) == (host, path)
