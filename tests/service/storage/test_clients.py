"""What the clients of a process depend on, and when they are made."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from services.storage import ObjectStore
from tests.service.storage.stores import IMAGES


def test_the_environment_of_other_clients_changes_nothing(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.setenv(name, "other")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    other = ObjectStore(store.config)
    other.put(IMAGES, "environment", b"same")
    assert other.get(IMAGES, "environment") == b"same"
    assert other.stat(IMAGES, "environment") is not None
    other.close()


def test_a_closed_store_opens_again(store: ObjectStore) -> None:
    store.put(IMAGES, "closed", b"x")
    store.close()
    store.close()
    assert store.get(IMAGES, "closed") == b"x"


def test_a_first_use_after_a_fork(store: ObjectStore) -> None:
    store.put(IMAGES, "forked", b"content")
    program = (
        "import json, os, sys\n"
        "from services.storage import ObjectStore, StorageConfig\n"
        "store = ObjectStore(StorageConfig(**json.loads(sys.argv[1])))\n"
        "child = os.fork()\n"
        "found = store.get(store.images_bucket, 'forked')\n"
        "failed = os.waitpid(child, 0)[1] if child else 0\n"
        "sys.exit(failed or found != b'content')\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, json.dumps(asdict(store.config))],
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=True,
    )
