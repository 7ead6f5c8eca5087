"""Links that download an archive without further credentials."""

import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from time import monotonic, sleep

import pytest

from services.storage import ObjectStore, StorageRefused
from tests import parts
from tests.service.storage.stores import EXPORTS, IMAGES, noise


def open_url(url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_a_link_downloads_without_credentials(store: ObjectStore) -> None:
    data = noise(100_000)
    store.put(EXPORTS, "o/ü 1.zip", data)
    name = 'straße "1" 100%.zip'
    link = store.sign_download("o/ü 1.zip", name, timedelta(minutes=5))
    status, headers, content = open_url(link)
    assert (status, content) == (200, data)
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"] == (
        'attachment; filename="stra_e _1_ 100_.zip"; '
        "filename*=UTF-8''stra%C3%9Fe%20%221%22%20100%25.zip"
    )
    assert open_url(link, {"Range": "bytes=10-19"})[2] == data[10:20]


def test_a_link_expires(store: ObjectStore, is_rclone: bool) -> None:
    store.put(EXPORTS, "expiring.zip", b"x")
    link = store.sign_download("expiring.zip", "x.zip", timedelta(seconds=1))
    assert open_url(link)[0] == 200
    deadline = monotonic() + 10
    while (answer := open_url(link))[0] == 200 and monotonic() < deadline:
        sleep(0.2)
    if is_rclone:
        assert answer[0] == 400
        assert b"request time" in answer[2]
    else:
        assert answer[0] == 403


def test_a_changed_link_is_refused(store: ObjectStore) -> None:
    store.put(EXPORTS, "mine.zip", b"x")
    store.put(EXPORTS, "theirs.zip", b"x")
    link = store.sign_download("mine.zip", "x.zip", timedelta(minutes=5))
    assert open_url(link.replace("mine.zip", "theirs.zip", 1))[0] == 403


def test_a_link_names_the_public_endpoint_without_a_call(store: ObjectStore) -> None:
    public = ObjectStore(replace(store.config, public_endpoint="https://files.example.com"))
    link = public.sign_download("a/b.zip", "b.zip", timedelta(days=7))
    assert link.startswith("https://files.example.com/exports/a/b.zip?")
    with pytest.raises(ValueError, match="7 days"):
        public.sign_download("a/b.zip", "b.zip", timedelta(days=8))


# rclone's server has one pair of keys.
@pytest.mark.parametrize(
    "server", [parts.MinIO, parts.SeaweedFS], ids=["minio", "seaweedfs"], indirect=True
)
def test_links_are_signed_by_a_user_that_can_only_read(store: ObjectStore) -> None:
    store.put(EXPORTS, "read-only.zip", b"x")
    config = store.config
    link = store.sign_download("read-only.zip", "x.zip", timedelta(minutes=5))
    assert config.signing_access_key in link
    assert config.access_key not in link
    as_signer = ObjectStore(
        replace(config, access_key=config.signing_access_key, secret_key=config.signing_secret_key)
    )
    assert as_signer.get(EXPORTS, "read-only.zip") == b"x"
    with pytest.raises(StorageRefused, match="allow these credentials"):
        as_signer.put(EXPORTS, "read-only.zip", b"y")
    with pytest.raises(StorageRefused):
        as_signer.get(IMAGES, "any")
    with pytest.raises(StorageRefused):
        list(as_signer.list(EXPORTS))
    as_signer.close()
