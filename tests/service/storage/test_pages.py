"""Pages of other origins that read archives by their links, as the console's look inside does."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from services.storage import ObjectStore, PagesRefused, StorageConfig
from services.storage.pages import try_page
from services.storage.pool import HttpPool
from tests import parts
from tests.needs import running
from tests.processes import environment
from tests.service.storage.stores import EXPORTS, IMAGES, config_of
from tests.stack import CARTOUCHE

OURS, OTHER = "https://console.example.com", "https://elsewhere.example.com"
FOREIGN = (
    b'<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><CORSRule>'
    b"<ID>theirs</ID><AllowedOrigin>https://theirs.example.com</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)


class GuardedMinIO(parts.MinIO):
    """MinIO that lets pages of one origin read, which it has for the whole server."""

    settings: ClassVar = {"MINIO_API_CORS_ALLOW_ORIGIN": OURS}


#: A store that keeps rules for each bucket.
with_rules = pytest.mark.parametrize("server", [parts.SeaweedFS], indirect=True, ids=["seaweedfs"])
#: Those that do not.
without_rules = pytest.mark.parametrize(
    "server", [parts.MinIO, parts.Rclone], indirect=True, ids=["minio", "rclone"]
)


def test_pages_read_as_each_store_comes(store: ObjectStore) -> None:
    store.try_page(OURS)


@without_rules
def test_a_store_without_rules_for_a_bucket_says_so(store: ObjectStore) -> None:
    with pytest.raises(PagesRefused, match=r"NotImplemented|knows no such rules"):
        store.allow_pages(["*"])
    store.ready()


@with_rules
def test_the_rule_lets_its_origins_read_and_no_others(store: ObjectStore) -> None:
    for _ in range(2):
        store.allow_pages([OURS])
        store.try_page(OURS)
        with pytest.raises(PagesRefused, match=f"its answer to {OTHER} allows none"):
            store.try_page(OTHER)
    store.allow_pages([OURS, OTHER])
    store.try_page(OTHER)
    store.allow_pages(["*"])
    store.try_page("https://any.example.com")


@with_rules
def test_the_rule_says_all_that_a_page_asks_for(store: ObjectStore) -> None:
    store.allow_pages([OURS])
    link = _link(store)
    with _pool() as pool, pool.exchange("GET", link, headers={"Origin": OURS}) as answer:
        assert answer.read() == b"probe"
        exposed = answer.headers["Access-Control-Expose-Headers"].lower().split(", ")
    assert {"etag", "content-range", "content-length", "last-modified"} <= {*exposed}
    preflight = {
        "Origin": OURS,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "if-match,range",
    }
    with _pool() as pool, pool.exchange("OPTIONS", link, headers=preflight) as answer:
        answer.read()
    assert answer.status < 300
    assert "range" in answer.headers["Access-Control-Allow-Headers"].lower()


@with_rules
def test_rules_of_others_stay(store: ObjectStore) -> None:
    calls = store._calls
    calls.call_bucket(EXPORTS, {"cors": ""}, method="PUT", body=FOREIGN)
    try:
        with pytest.raises(PagesRefused, match="rules of its own"):
            store.allow_pages([OURS])
        assert b"theirs" in calls.call_bucket(EXPORTS, {"cors": ""})
        store.try_page("https://theirs.example.com")
        with pytest.raises(PagesRefused):
            store.try_page(OURS)
    finally:
        with calls._exchange_url(
            "DELETE", calls._bucket_url("DELETE", EXPORTS, {"cors": ""}), EXPORTS
        ) as answer:
            answer.read()


@with_rules
def test_who_may_not_set_rules_is_told(store: ObjectStore) -> None:
    config = store.config
    links = replace(
        config, access_key=config.signing_access_key, secret_key=config.signing_secret_key
    )
    with (
        closing(ObjectStore(links)) as other,
        pytest.raises(PagesRefused, match="AccessDenied"),
    ):
        other.allow_pages([OURS])


def test_migrate_says_what_pages_may(
    store: ObjectStore, server: parts.ObjectStore, tmp_path: Path
) -> None:
    done = subprocess.run(
        [CARTOUCHE, "migrate"],
        env=environment(
            CARTOUCHE_HOME=str(tmp_path),
            CARTOUCHE_S3_ENDPOINT=server.endpoint,
            CARTOUCHE_S3_ACCESS_KEY=server.credentials.access_key,
            CARTOUCHE_S3_SECRET_KEY=server.credentials.secret_key,
            CARTOUCHE_S3_EXPORTS_BUCKET=EXPORTS,
            CARTOUCHE_S3_IMAGES_BUCKET=IMAGES,
            CARTOUCHE_S3_CORS_ORIGINS=OURS,
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    says = done.stdout.splitlines()[-1]
    if isinstance(server, parts.SeaweedFS):
        assert says == f"pages of {OURS} may read archives by their links (CORS)"
        with pytest.raises(PagesRefused):
            store.try_page(OTHER)
    else:
        assert says.startswith(f"no rule (CORS) is set on {EXPORTS}: the store ")


def test_a_server_that_lets_one_origin_read() -> None:
    for server in running(GuardedMinIO):
        with closing(ObjectStore(config_of(server))) as store:
            store.ensure_buckets()
            store.try_page(OURS)
            with pytest.raises(PagesRefused, match=f"its answer to {OTHER} allows none"):
                store.try_page(OTHER)


def test_an_address_that_nobody_answers_at() -> None:
    with (
        closing(HttpPool()) as pool,
        pytest.raises(PagesRefused, match="no answer here"),
    ):
        try_page(pool, "http://127.0.0.1:9/link", OURS)


@pytest.mark.parametrize(
    ("status", "allowed", "content", "said"),
    [
        (206, "*", b"p", None),
        (200, OURS, b"p", None),
        (206, None, b"p", "allows none"),
        (206, OTHER, b"p", f"allows '{OTHER}'"),
        (200, "*", b"probe", "5 bytes"),
        (403, "*", b"<Error/>", "403 Forbidden"),
    ],
)
def test_what_a_browser_makes_of_an_answer(
    status: int, allowed: str | None, content: bytes, said: str | None
) -> None:
    with _answering(status, allowed, content) as link, _pool() as pool:
        if said is None:
            try_page(pool, link, OURS)
        else:
            with pytest.raises(PagesRefused, match=said):
                try_page(pool, link, OURS)


@pytest.mark.parametrize("status", [404, 500, 501])
def test_whatever_a_store_answers_to_a_rule_is_no_error(status: int) -> None:
    with _answering(status, None, b"") as link:
        server = link.removesuffix("/link")
        config = StorageConfig(server, server, "region", *("key", "secret") * 2, IMAGES, EXPORTS)
        with closing(ObjectStore(config)) as store, pytest.raises(PagesRefused, match="no rules"):
            store.allow_pages(["*"])


def _link(store: ObjectStore) -> str:
    store.put(EXPORTS, "page", b"probe")
    return store.sign_download("page", "page", timedelta(minutes=5))


@contextmanager
def _pool() -> Iterator[HttpPool]:
    with closing(HttpPool()) as pool:
        yield pool


@contextmanager
def _answering(status: int, allowed: str | None, content: bytes) -> Iterator[str]:
    """A server that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if allowed is not None:
                self.send_header("Access-Control-Allow-Origin", allowed)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/link"
        finally:
            server.shutdown()
            thread.join()
