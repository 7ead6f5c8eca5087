"""The gateway over real HTTP, before a real gRPC server on SQLite."""

# ruff: noqa: RUF001 - the names are those that real clients were seen to send

import asyncio
import http.client
import json
import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import GatewayConfig, Patience
from gateway.serving import serve
from services.catalog.datasets import create_dataset
from services.catalog.model import DatasetClass
from services.database.clock import now
from services.database.engine import Database
from services.database.migrate import migrate
from services.database.tables import exports
from services.doorbell import Doorbell, connect_broker
from services.exports.model import Status
from services.identity.keys import create_key, ensure_organization
from services.identity.roles import Role
from services.server.server import Server
from services.settings import Settings
from services.storage import ObjectStore, StorageConfig

EXPORTS = "/api/v1/developer/exports"
NEWEST = {"User-Agent": "pictograph-python/1.69.146"}
#: Every key that the page shows, over all its answers for an export.
PAGE_KEYS = {
    "id",
    "name",
    "dataset_name",
    "status",
    "image_count",
    "annotation_count",
    "file_size",
    "include_images",
    "class_filter",
    "created_at",
    "completed_at",
}


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def gateway_to(loop: Loop, config: GatewayConfig) -> Iterator[int]:
    """A gateway on a free port, ended in order."""
    port: Future[int] = Future()

    async def start() -> asyncio.Task[None]:
        return asyncio.create_task(serve(config, "127.0.0.1", 0, port.set_result))

    async def stop(serving: asyncio.Task[None]) -> None:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    serving = loop.run(start())
    try:
        yield port.result(30)
    finally:
        loop.run(stop(serving))


@dataclass
class Setup:
    """A gateway, its server and its record."""

    port: int
    server_port: int
    database: Database
    keys: dict[str, str]
    datasets: dict[str, str]
    clients: dict[str, httpx.Client] = field(default_factory=dict)

    def http(self, role: str = "owner") -> httpx.Client:
        if role not in self.clients:
            self.clients[role] = httpx.Client(
                base_url=f"http://127.0.0.1:{self.port}{EXPORTS}",
                headers={"X-API-Key": self.keys[role], "User-Agent": "curl/7.88.1"},
                trust_env=False,
            )
        return self.clients[role]

    def create(self, name: str = "", **body: Any) -> dict[str, Any]:
        """A new export, as the page's clients make it."""
        body = {"dataset_name": "street-scenes", "name": name or uuid.uuid4().hex, **body}
        answer = self.http().post("/", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def complete(self, export_id: str) -> None:
        """Records an export as built, as a worker would."""
        with self.database.write() as connection:
            connection.execute(
                exports.update()
                .where(exports.c.id == export_id)
                .values(
                    status=Status.completed,
                    image_count=150,
                    annotation_count=820,
                    file_size=52428800,
                    crc32=0xCBF43926,
                    completed_at=now(),
                )
            )


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A gateway before a server; the object store is away, as no link needs it."""
    home: Path = tmp_path_factory.mktemp("gateway")
    settings = Settings(home=home, grpc_port=0)
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    organization = ensure_organization(database, "demo")
    keys = {role.name: create_key(database, organization, role) for role in Role}
    datasets = {
        name: create_dataset(
            database, organization, name, [DatasetClass("car"), DatasetClass("person")]
        ).id
        for name in ("street-scenes", "street scenes/α", "by-name", str(uuid.uuid4()))
    }
    address = "http://127.0.0.1:9"
    store = ObjectStore(
        StorageConfig(
            endpoint=address,
            public_endpoint=address,
            region="us-east-1",
            access_key="worker",
            secret_key="worker-secret",
            signing_access_key="reader",
            signing_secret_key="reader-secret",
            images_bucket="images",
            exports_bucket="exports",
        )
    )
    doorbell = Doorbell(connect_broker("memory://"))
    loop = Loop()

    async def make() -> Server:
        server = Server(settings, database, doorbell, store)
        await server.start()
        return server

    server = loop.run(make())
    try:
        config = GatewayConfig(server=f"127.0.0.1:{server.port}")
        with gateway_to(loop, config) as port:
            made = Setup(port, server.port, database, keys, datasets)
            yield made
            for client in made.clients.values():
                client.close()
    finally:
        loop.run(server.stop())
        loop.close()
        doorbell.close()
        store.close()
        database.close()


def raw(setup: Setup, method: str, target: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """A request whose target is sent as it is, as curl's --path-as-is would."""
    connection = http.client.HTTPConnection("127.0.0.1", setup.port, timeout=10)
    # http.client refuses some targets that other clients send.
    connection._validate_path = lambda url: None  # type: ignore[attr-defined]
    try:
        connection.request(method, target, headers={"X-API-Key": setup.keys["owner"], **headers})
        answer = connection.getresponse()
        body = answer.read()
        sent = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, sent, json.loads(body) if body else None
    finally:
        connection.close()


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_page_with_and_without_trailing_slash(setup: Setup, slash: str) -> None:
    http, name = setup.http(), f"Training Export v1{slash}x"
    body = {
        "dataset_name": "street-scenes",
        "name": name,
        "include_images": True,
        "class_filter": ["car", "person"],
        "status_filter": "complete",
    }
    made = http.post(slash, json=body)
    assert made.status_code == 201
    assert made.json()["status"] == "pending"
    quoted = name.replace(" ", "%20").replace("/", "%2F")
    one = http.get(f"/street-scenes/{quoted}{slash}")
    assert one.status_code == 200
    assert one.json() == made.json()
    assert set(one.json()) >= PAGE_KEYS
    assert one.json()["class_filter"] == ["car", "person"]
    listed = http.get(slash, params={"dataset_name": "street-scenes", "status": "pending"})
    assert made.json() in listed.json()
    early = http.get(f"/street-scenes/{quoted}/download{slash}")
    assert early.status_code == 409
    assert "pending" in early.json()["message"]
    setup.complete(made.json()["id"])
    link = http.get(f"/street-scenes/{quoted}/download{slash}")
    assert link.status_code == 200
    assert link.json()["file_size"] == 52428800
    assert link.json()["crc32"] == "cbf43926"
    assert link.headers["Cache-Control"] == "no-store"
    gone = http.delete(f"/street-scenes/{quoted}{slash}")
    assert gone.status_code == 200
    assert gone.json()["id"] == made.json()["id"]
    assert http.get(f"/street-scenes/{quoted}{slash}").status_code == 404


@pytest.mark.parametrize("value", [None, "all", []])
def test_filters_that_are_none(setup: Setup, value: Any) -> None:
    status_filter = value if value != [] else ""
    made = setup.create(class_filter=value, status_filter=status_filter)
    assert (made["class_filter"], made["status_filter"]) == (None, None)


@pytest.mark.parametrize(
    ("agent", "one", "many"),
    [
        ("pictograph-python-sdk/0.1.0", "export", "exports"),
        ("pictograph-python/1.29.0", "export", "exports"),
        ("pictograph-python/1.61.0", "data", "data"),
        ("pictograph-python-async/1.69.146", "data", "data"),
    ],
)
def test_sdks_get_their_envelopes(setup: Setup, agent: str, one: str, many: str) -> None:
    made = setup.create()
    headers = {"User-Agent": agent}
    http = setup.http()
    assert http.get(f"/{made['id']}", headers=headers).json() == {one: made}
    listed = http.get("/", params={"limit": 1, "offset": 0}, headers=headers).json()
    assert listed[many] == [made]
    assert listed["pagination"]["has_more"] is True


def test_every_address_finds_the_same_export(setup: Setup) -> None:
    name = "Train v1/α?#% +&"
    made = setup.create(name, dataset_name="street scenes/α")
    dataset, quoted = "street%20scenes%2F%CE%B1", "Train%20v1%2F%CE%B1%3F%23%25%20%2B%26"
    unquoted = quoted.replace("%2F", "/")
    query = "?dataset=street+scenes%2F%CE%B1"
    for tail in (
        f"{dataset}/{quoted}",
        f"{dataset}/{unquoted}",
        f"by-name/{dataset}/{quoted}",
        f"{quoted}{query}",
        made["id"],
        made["id"].upper(),
    ):
        status, _, body = raw(setup, "GET", f"{EXPORTS}/{tail}")
        assert (status, body.get("data", body)) == (200, made)
    setup.complete(made["id"])
    for tail in (
        f"{dataset}/{quoted}/download",
        f"{dataset}/{unquoted}/download",
        f"by-name/{dataset}/{quoted}/download",
        f"{quoted}/download{query}",
        f"{made['id']}/download",
    ):
        status, _, body = raw(setup, "GET", f"{EXPORTS}/{tail}")
        assert (status, body["name"]) == (200, name)


@pytest.mark.parametrize(
    ("name", "sent"),
    [("50% off", "50%%20off"), ("a\\b", "a\\b"), ("a+b", "a+b"), ("a%20b", "a%2520b")],
)
def test_names_as_old_clients_send_them(setup: Setup, name: str, sent: str) -> None:
    made = setup.create(name)
    assert raw(setup, "GET", f"{EXPORTS}/street-scenes/{sent}")[2] == made


def test_names_that_look_like_paths(setup: Setup) -> None:
    lookalike = next(name for name in setup.datasets if len(name) == 36)
    first = setup.create("download", dataset_name=lookalike)
    second = setup.create("download", dataset_name="street-scenes")
    third = setup.create("download", dataset_name="by-name")
    http = setup.http()
    assert http.get(f"/{lookalike}/download").json() == first
    assert http.get("/street-scenes/download").json() == second
    assert http.get("/by-name/download").json() == third
    assert http.get("/by-name/street-scenes/download").json() == second
    assert http.get("/download?dataset=by-name").json() == {"data": third}
    # The page's reading: the download of an export of a dataset called by-name.
    export = setup.create("street-scenes", dataset_name="by-name")
    assert http.get("/by-name/street-scenes/download").status_code == 409
    old = {"User-Agent": "pictograph-python/1.61.0"}
    assert http.get("/by-name/street-scenes/download", headers=old).json() == {"data": second}
    # A download cannot be deleted, and an export called download can.
    assert http.delete("/street-scenes/x/download").status_code == 405
    assert http.delete(f"/{export['id']}/download").status_code == 405
    assert http.delete(f"/{lookalike}/download").status_code == 200


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize(
    "tail", ["", "/", "?dataset=street-scenes", "/.", "/street-scenes/..", "/%2E%2E/exports/"]
)
def test_the_collection_can_only_be_read_and_added_to(setup: Setup, method: str, tail: str) -> None:
    before = len(setup.http().get("/").json())
    status, headers, body = raw(setup, method, EXPORTS + tail)
    assert status == 405
    assert method not in headers["allow"]
    assert body["error"] == "method_not_allowed"
    assert len(setup.http().get("/").json()) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/street-scenes/x", 405),
        ("POST", "/street-scenes/x", 405),
        ("GET", "/bulk-delete", 405),
        ("DELETE", "/bulk-delete", 405),
        ("GET", "/not-an-id", 404),
        ("GET", "/street-scenes/%00", 404),
        ("DELETE", "/street-scenes/%FF", 404),
        ("GET", "/street-scenes/..", 404),
        ("GET", "/no-such-dataset/x", 404),
        ("GET", "/?limit=0", 422),
        ("GET", "/?limit=1001", 422),
        ("GET", "/?offset=2147483648", 422),
        ("GET", "/?status=queued", 422),
        ("GET", "/?dataset_name=nowhere", 404),
    ],
)
def test_refusals(setup: Setup, method: str, path: str, status: int) -> None:
    got, headers, body = raw(setup, method, EXPORTS + path)
    assert got == status
    assert body["detail"] == body["message"]
    assert headers["x-request-id"]


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b'{"name": "\\ud800"}', 400, "bad_request"),
        (b"\xff", 400, "bad_request"),
        (b"[]", 422, "validation_error"),
        (b'{"name": 1}', 422, "validation_error"),
        (b'{"dataset_name": "nowhere", "name": "x"}', 404, "not_found"),
        (b'{"dataset_name": "street-scenes", "name": ".."}', 422, "validation_error"),
        (b'{"dataset_name": "street-scenes", "name": "a\\u0000"}', 422, "validation_error"),
        (
            b'{"dataset_name": "street-scenes", "name": "x", "format": "zip"}',
            422,
            "validation_error",
        ),
        (
            b'{"dataset_name": "street-scenes", "name": "x", "class_filter": ["cat"]}',
            422,
            "validation_error",
        ),
        (b'{"name": "' + b"x" * 1024 * 1024 + b'"}', 413, "payload_too_large"),
    ],
)
def test_bad_bodies(setup: Setup, content: bytes, status: int, slug: str) -> None:
    answer = setup.http().post("/", content=content)
    assert (answer.status_code, answer.json()["error"]) == (status, slug)
    if status == 422:
        assert answer.json()["details"]["errors"]
    wrapped = setup.http().post("/", content=content, headers=NEWEST).json()
    assert wrapped["error"]["code"] == slug


@pytest.mark.parametrize("item", ["1", '"a"', "[]"])
def test_the_key_comes_before_a_large_body(setup: Setup, item: str) -> None:
    """Which is then not looked at to its end, nor answered with all that is wrong with it."""
    content = f'{{"class_filter": [{",".join([item] * 200_000)}]}}'.encode()
    url = f"http://127.0.0.1:{setup.port}{EXPORTS}/"
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda key: httpx.post(
                    url, content=content, headers={"X-API-Key": key}, trust_env=False, timeout=60
                ),
                [*["pk_live_wrong"] * 5, setup.keys["member"]],
            )
        )
    assert [answer.status_code for answer in answers] == [*[401] * 5, 422]
    wrong = answers[-1].json()["details"]["errors"]
    assert len(wrong) <= 3
    assert [error["field"].partition("[")[0] for error in wrong if "class" in error["field"]]
    assert len(answers[-1].content) < 1_000


def test_a_body_that_does_not_come_in_time(setup: Setup) -> None:
    loop = Loop()
    try:
        config = GatewayConfig(server=f"127.0.0.1:{setup.server_port}", patience=Patience(body=0.2))
        with (
            gateway_to(loop, config) as port,
            socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        ):
            head = f"POST {EXPORTS}/ HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n"
            connection.sendall(head.encode() + b"Content-Length: 9\r\n\r\n{")
            assert connection.recv(1_000).startswith(b"HTTP/1.1 408")
    finally:
        loop.close()


def test_a_taken_name_is_a_conflict_but_not_for_the_first_sdk(setup: Setup) -> None:
    made = setup.create("taken")
    body = {"dataset_name": "street-scenes", "name": "taken"}
    assert setup.http().post("/", json=body).status_code == 409
    old = {"User-Agent": "pictograph-python-sdk/0.1.0"}
    again = setup.http().post("/", json=body, headers=old)
    assert (again.status_code, again.json()) == (201, {"export": made})


def test_an_idempotency_key_replays_the_answer(setup: Setup) -> None:
    body = {"dataset_name": "street-scenes", "name": "once"}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first, second = (setup.http().post("/", json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    other = setup.http().post("/", json={**body, "name": "twice"}, headers=headers)
    assert other.status_code == 409
    assert "Idempotency-Key" in other.json()["message"]


def test_an_idempotency_key_of_a_deleted_export_makes_nothing(setup: Setup) -> None:
    body = {"dataset_name": "street-scenes", "name": uuid.uuid4().hex}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    made = setup.http().post("/", json=body, headers=headers)
    assert setup.http("admin").delete(f"/{made.json()['id']}").status_code == 200
    again = setup.http().post("/", json=body, headers=headers)
    assert (again.status_code, again.json()["error"]) == (409, "conflict")
    assert again.json()["details"]["export_id"] == made.json()["id"]
    fresh = setup.http().post("/", json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
    assert fresh.status_code == 201


def test_bulk_delete(setup: Setup) -> None:
    made, missing = setup.create(), str(uuid.uuid4())
    body = {"export_ids": [made["id"], made["id"], missing]}
    answer = setup.http("admin").post("/bulk-delete", json=body, headers=NEWEST).json()
    expected = {
        "deleted": [made["id"]],
        "succeeded": [made["id"]],
        "not_found": [missing],
        "count": 1,
    }
    assert answer == {**expected, "data": expected}
    assert setup.http().post("/bulk-delete", json={"export_ids": []}).status_code == 422


def test_roles(setup: Setup) -> None:
    made = setup.create()
    viewer, member = setup.http("viewer"), setup.http("member")
    assert viewer.get(f"/{made['id']}").status_code == 200
    refused = viewer.post("/", json={"dataset_name": "street-scenes", "name": "viewer's"})
    assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert refused.json()["details"] == {"required_role": "member", "current_role": "viewer"}
    assert member.delete(f"/{made['id']}").status_code == 403
    assert setup.http("admin").delete(f"/{made['id']}").status_code == 200


@pytest.mark.parametrize("key", [None, "", "pk_live_wrong", "ключ"])
@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("GET", "/", b""),
        ("GET", "/?limit=0", b""),
        ("GET", "/not-an-id", b""),
        ("POST", "/", b"{"),
        ("POST", "/bulk-delete", b"{}"),
        ("DELETE", "/street-scenes/x", b""),
    ],
)
def test_without_a_valid_key_nothing_else_matters(
    setup: Setup, key: str | None, method: str, path: str, content: bytes
) -> None:
    headers = {} if key is None else {b"X-API-Key": key.encode()}
    answer = httpx.request(
        method,
        f"http://127.0.0.1:{setup.port}{EXPORTS}{path}",
        content=content,
        headers=headers,
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_api_key")
    assert "X-API-Key" in answer.headers["WWW-Authenticate"]


def test_a_key_just_taken_is_not_shown_again_for_a_refusal(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    loop, calls = Loop(), "services.server.interceptor"

    def asks(http: httpx.Client, method: str, path: str, status: int, content: bytes = b"") -> int:
        """How many calls of the server a request is."""
        caplog.clear()
        with caplog.at_level(logging.INFO, calls):
            assert http.request(method, path, content=content).status_code == status
        return sum(record.name == calls for record in caplog.records)

    try:
        config = GatewayConfig(server=f"127.0.0.1:{setup.server_port}", key_memory=60)
        with gateway_to(loop, config) as port:
            base = f"http://127.0.0.1:{port}{EXPORTS}"
            key = {"X-API-Key": setup.keys["viewer"]}
            with httpx.Client(base_url=base, headers=key, trust_env=False) as http:
                # Not seen yet.
                assert asks(http, "GET", "/?limit=0", 422) == 1
                assert asks(http, "GET", "/?limit=0", 422) == 0
                assert asks(http, "GET", "/not-an-id", 404) == 0
                assert asks(http, "POST", "/", 400, b"{") == 0
                assert asks(http, "POST", "/", 422, b"{}") == 0
                # What it may do is for the server to say, each time.
                assert asks(http, "GET", "/", 200) == 1
                assert asks(http, "DELETE", "/street-scenes/x", 403) == 1
                assert asks(http, "GET", "/street-scenes/x", 404) == 1
            wrong = {"X-API-Key": "pk_live_wrong"}
            with httpx.Client(base_url=base, headers=wrong, trust_env=False) as http:
                for _ in range(2):
                    assert asks(http, "GET", "/?limit=0", 401) == 1
            with httpx.Client(base_url=base, trust_env=False) as http:
                assert asks(http, "GET", "/?limit=0", 401) == 0
    finally:
        loop.close()


def test_request_ids_go_in_and_out(setup: Setup) -> None:
    http = setup.http()
    assert http.get("/", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    odd = http.get("/", headers={"X-Request-Id": "a b<script>"}).headers["X-Request-Id"]
    assert len(odd) == 32
    elsewhere = httpx.get(f"http://127.0.0.1:{setup.port}/nowhere", trust_env=False)
    assert elsewhere.status_code == 404
    assert elsewhere.headers["X-Request-Id"]


def test_head_and_options(setup: Setup) -> None:
    made = setup.create()
    head = setup.http().head(f"/{made['id']}")
    assert (head.status_code, head.content) == (200, b"")
    options = setup.http().options(f"/{made['id']}")
    assert (options.status_code, options.headers["Allow"]) == (204, "GET, HEAD, DELETE, OPTIONS")


def test_the_log_has_a_line_per_request_and_no_link(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    made = setup.create()
    setup.complete(made["id"])

    def logged(request_id: str) -> list[logging.LogRecord]:
        return [
            record
            for record in caplog.records
            if record.name == "gateway.edge" and vars(record)["request_id"] == request_id
        ]

    with caplog.at_level(logging.DEBUG):
        link = setup.http().get(f"/{made['id']}/download", headers={"X-Request-Id": "logged"})
        assert link.status_code == 200
        # The line is written once the answer has left.
        deadline = time.monotonic() + 10
        while not logged("logged") and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = logged("logged")
    assert len(lines) == 1
    assert vars(lines[0])["route"] == EXPORTS + "/{export}/download"
    assert vars(lines[0])["status"] == 200
    told = " ".join(str(vars(record)) for record in caplog.records)
    assert "X-Amz-Signature" in link.json()["download_url"]
    assert "X-Amz-Signature" not in told


def test_the_documentation_comes_from_here(setup: Setup) -> None:
    base = f"http://127.0.0.1:{setup.port}"
    page = httpx.get(f"{base}/docs", trust_env=False).text
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page
        assert httpx.get(f"{base}/static-offline-docs/{asset}", trust_env=False).is_success
    document = httpx.get(f"{base}/openapi.json", trust_env=False).json()
    paths = document["paths"]
    assert set(paths[f"{EXPORTS}/"]) == {"get", "post"}
    item = EXPORTS + "/{dataset_name}/{export_name}"
    assert set(paths[item]) == {"get", "delete"}
    assert set(paths[f"{item}/download"]) == {"get"}
    example = paths[f"{EXPORTS}/"]["post"]["requestBody"]["content"]["application/json"]
    assert example["schema"]["examples"][0]["name"] == "Training Export v1"


def test_probes(setup: Setup) -> None:
    base = f"http://127.0.0.1:{setup.port}"
    assert httpx.get(f"{base}/healthz", trust_env=False).json() == {"status": "ok"}
    assert httpx.get(f"{base}/readyz", trust_env=False).json() == {"status": "ok"}


def test_a_server_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port_away = unused.getsockname()[1]
    loop = Loop()
    try:
        config = GatewayConfig(server=f"127.0.0.1:{port_away}", call_timeout=3)
        with gateway_to(loop, config) as port:
            base = f"http://127.0.0.1:{port}"
            assert httpx.get(f"{base}/healthz", trust_env=False).status_code == 200
            assert httpx.get(f"{base}/readyz", trust_env=False).status_code == 503
            answer = httpx.get(f"{base}{EXPORTS}/", headers={"X-API-Key": "k"}, trust_env=False)
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "2"
            assert answer.json()["error"] == "unavailable"
            assert str(port_away) not in answer.text
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("trusted", "client"), [((), "127.0.0.1"), (("127.0.0.1",), "203.0.113.7")]
)
def test_only_trusted_proxies_are_believed(
    trusted: tuple[str, ...], client: str, caplog: pytest.LogCaptureFixture
) -> None:
    loop = Loop()
    try:
        config = GatewayConfig(server="127.0.0.1:1", trusted_proxies=trusted)
        with caplog.at_level(logging.INFO, "gateway.edge"), gateway_to(loop, config) as port:
            headers = {"X-Forwarded-For": "203.0.113.7"}
            httpx.get(f"http://127.0.0.1:{port}{EXPORTS}/", headers=headers, trust_env=False)
        assert [vars(r)["client"] for r in caplog.records if r.name == "gateway.edge"] == [client]
    finally:
        loop.close()


def test_a_port_that_is_taken() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        asyncio.run(serve(GatewayConfig(server="127.0.0.1:1"), *taken.getsockname()))
