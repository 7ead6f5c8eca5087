"""Credentials of the platform: temporary ones that MinIO gave, handed out as a container's are."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import urlopen

import pytest
from minio.credentials.providers import AssumeRoleProvider

from services.storage import ObjectStore, StorageMisconfigured
from services.storage.config import StorageConfig
from services.storage.credentials import platform_has_any
from tests import parts
from tests.service.storage.stores import EXPORTS, IMAGES, config_of, noise

pytestmark = pytest.mark.parametrize("server", [parts.MinIO], ids=["minio"], indirect=True)


class Platform:
    """Gives credentials of the store that end in so many seconds, as it says."""

    def __init__(self, server: parts.ObjectStore) -> None:
        self.lifetime = 3600.0
        self.asked = 0
        self.is_away = False
        self._server = server
        platform = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                platform.asked += 1
                self.send_response(500 if platform.is_away else 200)
                self.end_headers()
                if not platform.is_away:
                    self.wfile.write(platform.credentials())

            def log_message(self, *_: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/credentials"

    def credentials(self) -> bytes:
        root = self._server.credentials
        given = AssumeRoleProvider(
            sts_endpoint=self._server.endpoint,
            access_key=root.access_key,
            secret_key=root.secret_key,
            duration_seconds=3600,
            region=parts.REGION,
        ).retrieve()
        end = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        return json.dumps(
            {
                "AccessKeyId": given.access_key,
                "SecretAccessKey": given.secret_key,
                "Token": given.session_token,
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ).encode()


@pytest.fixture
def platform(server: parts.ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    platform = Platform(server)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", platform.url)
    yield platform
    platform.http.shutdown()
    platform.http.server_close()


@pytest.fixture
def keyless(server: parts.ObjectStore) -> StorageConfig:
    """A store of which no key is set."""
    config = config_of(server)
    return replace(
        config, access_key="", secret_key="", signing_access_key="", signing_secret_key=""
    )


def test_every_kind_of_call_takes_them(
    store: ObjectStore, keyless: StorageConfig, platform: Platform
) -> None:
    assert platform_has_any(keyless.endpoint)
    mine = ObjectStore(keyless)
    mine.put(IMAGES, "keyless", noise(1000))
    assert mine.get(IMAGES, "keyless") == noise(1000)
    assert b"".join(next(mine.read_many(IMAGES, [("keyless", 1000)]))) == noise(1000)
    upload = mine.create_upload("keyless.zip")
    assert upload in {u.upload_id for u in mine.list_uploads()}
    etag = mine.upload_part("keyless.zip", upload, 1, 1000, noise(1000))
    mine.complete_upload("keyless.zip", upload, [(1, etag)])
    assert mine.stat(EXPORTS, "keyless.zip") is not None
    assert mine.delete_prefix(IMAGES, "keyless") == 1
    link = mine.sign_download("keyless.zip", "x.zip", timedelta(hours=1))
    with urlopen(link) as answer:
        assert answer.read() == noise(1000)
    # Once for control calls and small reads, and once for links.
    assert platform.asked == 2
    mine.close()


def test_links_end_with_them_and_never_say_later(
    store: ObjectStore, keyless: StorageConfig, platform: Platform
) -> None:
    mine = ObjectStore(keyless)
    end = mine.links_end_at()
    assert end is not None
    assert 3500 < end - datetime.now(UTC).timestamp() <= 3600
    # Static keys for links are what helps.
    assert store.links_end_at() is None
    mine.close()


def test_they_are_renewed_before_they_end(
    store: ObjectStore, keyless: StorageConfig, platform: Platform
) -> None:
    platform.lifetime = 2.0
    mine = ObjectStore(keyless)
    first = mine.links_end_at()
    assert mine.links_end_at() == first
    platform.lifetime = 3600.0
    while mine.links_end_at() == first:
        assert datetime.now(UTC).timestamp() < (first or 0) + 5
    assert platform.asked == 2
    mine.close()


def test_a_platform_that_gives_none_is_named(keyless: StorageConfig, platform: Platform) -> None:
    platform.is_away = True
    mine = ObjectStore(keyless)
    with pytest.raises(StorageMisconfigured, match="CARTOUCHE_S3_ACCESS_KEY is not set"):
        mine.put(IMAGES, "keyless", b"x")
    with pytest.raises(StorageMisconfigured, match="give this process a role"):
        mine.ready()
    mine.close()
