"""Webhooks: what happens to exports is told, as Standard Webhooks has it, and nobody is called who
must not be."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text
from standardwebhooks import Webhook

from services.database.engine import Database
from services.database.tables import exports, webhook_attempts, webhook_messages, webhooks
from services.errors import NotFound
from services.exports import creation
from services.exports.model import ExportRequest, Lane
from services.webhooks import callbacks, outbox, registry
from services.webhooks.model import DeliveryStatus, EventType, Outcome
from tests.datasets import Picture, bbox, jpeg, put_all, unique
from tests.exports import create, watch
from tests.parts import ObjectStore, PostgreSQL, RabbitMQ
from tests.service.record import Tenant
from tests.stack import Embedded, Production, Stack
from tests.waiting import until

EXPORTS = "/api/v1/developer/exports"
WEBHOOKS = "/api/v1/developer/webhooks"
#: What 0.2.0 makes of a request (`sha256`), which a test below has.
HASH = "7956f7badcd0af0ad98dfe988e1efad24e4f81f829d5cf8a1138726c425014b6"
#: Receivers of the tests are on this machine.
ALLOWED = {"CARTOUCHE_WEBHOOK_ALLOW": "127.0.0.1", "CARTOUCHE_RECONCILE_INTERVAL": "0.5"}


@dataclass
class Receiver:
    """An HTTP server that remembers what it was sent, and answers what it is told to."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def wait(self, count: int, seconds: float = 30) -> list[tuple[dict[str, str], bytes]]:
        """The messages once there are so many."""
        until(lambda: len(self.received) >= count, seconds)
        return self.received


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = told.statuses.pop(0) if told.statuses else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module", params=["embedded", "production"])
def hooked(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack whose webhooks may call this machine."""
    if request.param == "embedded":
        with Embedded("webhooks", ALLOWED) as embedded:
            yield embedded
        return
    postgresql: PostgreSQL = request.getfixturevalue("postgresql")
    broker: RabbitMQ = request.getfixturevalue("rabbitmq")
    store: ObjectStore = request.getfixturevalue("object_store")
    with Production(
        postgresql.create_database(), broker.url, store, name="webhooks", settings=ALLOWED
    ) as production:
        yield production


def webhook(stack: Stack, url: str, **fields: Any) -> Any:
    """A new webhook, as its creation answers."""
    answer = stack.http("admin").post(f"{WEBHOOKS}/", json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def checked(made: Any, message: tuple[dict[str, str], bytes]) -> Any:
    """The payload of a message whose signature is right."""
    headers, body = message
    return Webhook(made["secret"]).verify(body, headers)


def deliveries(stack: Stack, made: Any) -> Any:
    return stack.http("viewer").get(f"{WEBHOOKS}/{made['id']}/deliveries").json()["deliveries"]


def test_ends_of_exports_are_told(hooked: Stack, receiver: Receiver) -> None:
    made = webhook(hooked, receiver.url, description="the nightly training")
    failures = webhook(hooked, f"{receiver.url}?failures", events=["export.failed"])
    put_all(hooked, dataset := unique("hooks"), [Picture("a.jpg", jpeg(), [bbox("car")])])
    good = watch(hooked, create(hooked, dataset).id)[-1]
    message = checked(made, receiver.wait(1)[0])
    assert message["type"] == "export.completed"
    assert message["data"]["id"] == good.id
    assert message["data"]["dataset_name"] == dataset
    bad = watch(hooked, create(hooked, dataset, status_filter="review").id)[-1]
    told = receiver.wait(3)[1:]
    assert {checked_by(heard, made, failures) for heard in told} == {made["id"], failures["id"]}
    for _, body in told:
        data = json.loads(body)
        assert (data["type"], data["data"]["id"]) == ("export.failed", bad.id)
        assert data["data"]["error_code"] == "selection_empty"
    until(lambda: [row["status"] for row in deliveries(hooked, made)] == ["delivered"] * 2)
    rows = deliveries(hooked, made)
    assert rows[1]["id"] == receiver.received[0][0]["webhook-id"]
    assert rows[1]["attempts"][0]["http_status"] == 204
    for done in (made, failures):
        assert hooked.http("admin").delete(f"{WEBHOOKS}/{done['id']}").status_code == 200


def checked_by(message: tuple[dict[str, str], bytes], *webhooks: Any) -> str:
    """The id of the webhook whose secret has signed a message."""
    for made in webhooks:
        try:
            checked(made, message)
        except Exception:
            continue
        return str(made["id"])
    raise AssertionError("nobody signed it")


def test_an_export_calls_back(hooked: Stack, receiver: Receiver) -> None:
    admin = hooked.http("admin")
    answer = admin.get(f"{WEBHOOKS}/callbacks/secret")
    assert answer.headers["cache-control"] == "no-store"
    ours = answer.json()
    assert admin.get(f"{WEBHOOKS}/callbacks/secret/").json() == ours
    assert hooked.http("member").get(f"{WEBHOOKS}/callbacks/secret").status_code == 403
    put_all(hooked, dataset := unique("hooks"), [Picture("a.jpg", jpeg(), [bbox("car")])])
    body = {"dataset_name": dataset, "name": "first", "callback_url": receiver.url}
    made = hooked.http("member").post(f"{EXPORTS}/", json=body)
    assert (made.status_code, made.json()["callback_url"]) == (201, receiver.url)
    message = checked(ours, receiver.wait(1)[0])
    assert message["type"] == "export.completed"
    assert message["data"]["id"] == made.json()["id"]
    bad = create(hooked, dataset, status_filter="review", callback_url=f"{receiver.url}?failed")
    assert bad.callback_url == f"{receiver.url}?failed"
    assert watch(hooked, create(hooked, dataset).id)[-1].callback_url == ""
    message = checked(ours, receiver.wait(2)[1])
    assert (message["type"], message["data"]["id"]) == ("export.failed", bad.id)
    # They are in a log of their own, and nobody registered them.
    callbacks = {"id": "callbacks"}
    until(lambda: [row["status"] for row in deliveries(hooked, callbacks)] == ["delivered"] * 2)
    assert [row["url"] for row in deliveries(hooked, callbacks)] == [
        f"{receiver.url}?failed",
        receiver.url,
    ]
    assert receiver.url not in str(admin.get(WEBHOOKS).json())
    foreign = hooked.http("owner", "strangers")
    assert foreign.get(f"{WEBHOOKS}/callbacks/deliveries").json()["deliveries"] == []
    assert foreign.get(f"{WEBHOOKS}/callbacks/secret").json() != ours
    # Again, with the next secret beside this one.
    new = admin.post(f"{WEBHOOKS}/callbacks/rotate").json()
    sent = deliveries(hooked, callbacks)[1]["id"]
    assert foreign.post(f"{WEBHOOKS}/deliveries/{sent}/redeliver").status_code == 404
    assert admin.post(f"{WEBHOOKS}/deliveries/{sent}/redeliver").status_code == 200
    again = receiver.wait(3)[2]
    assert again[0]["webhook-id"] == sent
    for secret in (ours, new):
        assert checked(secret, again)["type"] == "export.completed"


def test_an_address_that_a_webhook_has_is_told_once(hooked: Stack, receiver: Receiver) -> None:
    made = webhook(hooked, receiver.url, events=["export.completed"])
    put_all(hooked, dataset := unique("hooks"), [Picture("a.jpg", jpeg(), [bbox("car")])])
    create(hooked, dataset, callback_url=receiver.url)
    assert checked(made, receiver.wait(1)[0])["type"] == "export.completed"
    # What the webhook does not ask for, the callback tells.
    create(hooked, dataset, status_filter="review", callback_url=receiver.url)
    ours = hooked.http("admin").get(f"{WEBHOOKS}/callbacks/secret").json()
    assert checked(ours, receiver.wait(2)[1])["type"] == "export.failed"
    assert len(receiver.received) == 2
    hooked.http("admin").delete(f"{WEBHOOKS}/{made['id']}")


def test_a_secret_is_rotated_and_a_message_sent_again(hooked: Stack, receiver: Receiver) -> None:
    made = webhook(hooked, receiver.url)
    admin = hooked.http("admin")
    old = made["secret"]
    new = admin.post(f"{WEBHOOKS}/{made['id']}/rotate").json()["secret"]
    sent = admin.post(f"{WEBHOOKS}/{made['id']}/test").json()["delivery_id"]
    message = receiver.wait(1)[0]
    for secret in (old, new):
        assert checked({"secret": secret}, message)["type"] == "webhook.test"
    assert message[0]["webhook-id"] == sent
    until(lambda: deliveries(hooked, made)[0]["status"] == "delivered")
    assert admin.post(f"{WEBHOOKS}/deliveries/{sent}/redeliver").status_code == 200
    again = receiver.wait(2)[1]
    assert (again[0]["webhook-id"], again[1]) == (sent, message[1])
    admin.delete(f"{WEBHOOKS}/{made['id']}")


def test_what_is_refused_is_tried_again_and_410_is_the_end(
    hooked: Stack, receiver: Receiver
) -> None:
    made = webhook(hooked, receiver.url)
    admin = hooked.http("admin")
    receiver.statuses = [500]
    admin.post(f"{WEBHOOKS}/{made['id']}/test")
    # Five seconds later.
    receiver.wait(2)
    until(lambda: deliveries(hooked, made)[0]["status"] == "delivered")
    first, second = deliveries(hooked, made)[0]["attempts"]
    assert (first["http_status"], "answered 500" in first["error"]) == (500, True)
    assert (second["http_status"], second["error"]) == (204, None)
    receiver.statuses = [302]
    admin.post(f"{WEBHOOKS}/{made['id']}/test")
    until(lambda: len(deliveries(hooked, made)[0]["attempts"]) > 0)
    assert "redirects are not followed" in deliveries(hooked, made)[0]["attempts"][0]["error"]
    receiver.wait(4)
    receiver.statuses = [410]
    admin.post(f"{WEBHOOKS}/{made['id']}/test")
    receiver.wait(5)

    def listed() -> Any:
        rows = admin.get(WEBHOOKS).json()["webhooks"]
        return next(row for row in rows if row["id"] == made["id"])

    until(lambda: not listed()["enabled"])
    assert "410" in listed()["disabled_reason"]
    taken_up = admin.patch(f"{WEBHOOKS}/{made['id']}", json={"enabled": True}).json()
    assert (taken_up["enabled"], taken_up["disabled_reason"]) == (True, None)
    admin.delete(f"{WEBHOOKS}/{made['id']}")


def test_roles_and_values(hooked: Stack, receiver: Receiver) -> None:
    made = webhook(hooked, receiver.url)
    for role, status in (("viewer", 403), ("member", 403)):
        client = hooked.http(role)
        assert client.post(WEBHOOKS, json={"url": receiver.url}).status_code == status
        assert client.get(f"{WEBHOOKS}/").status_code == 200
        assert client.delete(f"{WEBHOOKS}/{made['id']}").status_code == status
    admin = hooked.http("admin")
    assert "secret" not in admin.get(WEBHOOKS).text
    for body in (
        {"url": "ftp://example.org"},
        {"url": "https://a:b@example.org"},
        {"url": receiver.url, "events": ["export.unknown"]},
        {"url": receiver.url, "description": "x" * 201},
        {},
    ):
        assert admin.post(WEBHOOKS, json=body).status_code == 422, body
    assert admin.get(f"{WEBHOOKS}/none/deliveries").status_code == 404
    assert hooked.http("owner", "strangers").get(f"{WEBHOOKS}/").json() == {"webhooks": []}
    foreign = hooked.http("owner", "strangers")
    assert foreign.delete(f"{WEBHOOKS}/{made['id']}").status_code == 404
    admin.delete(f"{WEBHOOKS}/{made['id']}")


def test_the_command_line(hooked: Stack, receiver: Receiver) -> None:
    def run(*words: str) -> Any:
        return json.loads(hooked.command("webhooks", *words, "--json", role="admin").stdout)

    made = run("create", receiver.url, "--event", "export.failed")
    number = made["webhook"]["id"]
    assert made["secret"].startswith("whsec_")
    assert number in [row["id"] for row in run("list")["webhooks"]]
    assert run("disable", number)["enabled"] is False
    assert run("enable", number)["enabled"] is True
    assert run("rotate", number)["secret"] != made["secret"]
    sent = run("test", number)["delivery_id"]
    receiver.wait(1)
    until(lambda: run("deliveries", number)["deliveries"][0]["status"] == "delivered")
    assert run("redeliver", sent) == {"delivery_id": sent}
    receiver.wait(2)
    assert run("delete", number, "--yes") == {"id": number}
    put_all(hooked, dataset := unique("hooks"), [Picture("a.jpg", jpeg())])
    words = ("exports", "create", dataset, "first", "--callback-url", receiver.url, "--wait")
    hooked.command(*words, role="member")
    secret = run("callback-secret")
    assert checked(secret, receiver.wait(3)[2])["type"] == "export.completed"
    until(lambda: run("deliveries", "callbacks")["deliveries"][0]["status"] == "delivered")
    assert run("deliveries", "callbacks")["deliveries"][0]["url"] == receiver.url
    assert run("callback-secret", "--rotate") != secret


def test_an_expiring_archive_is_told_once(receiver: Receiver) -> None:
    settings = ALLOWED | {"CARTOUCHE_RETENTION": "20"}
    with Embedded("webhooks-expiring", settings) as stack:
        made = webhook(stack, receiver.url, events=["export.expiring"])
        put_all(stack, dataset := unique("hooks"), [Picture("a.jpg", jpeg())])
        export = watch(stack, create(stack, dataset).id)[-1]
        message = checked(made, receiver.wait(1, seconds=40)[0])
        assert (message["type"], message["data"]["id"]) == ("export.expiring", export.id)
        assert message["data"]["expires_at"]
        until(lambda: stack.http().get(f"/api/v1/developer/exports/{export.id}").status_code == 404)
        assert len(receiver.received) == 1


def test_nobody_inside_is_called(stack: Stack, receiver: Receiver) -> None:
    """Without an allowance."""
    made = webhook(stack, receiver.url)
    stack.http("admin").post(f"{WEBHOOKS}/{made['id']}/test")
    until(lambda: len(deliveries(stack, made)[0]["attempts"]) > 0)
    assert "where nothing may be sent" in deliveries(stack, made)[0]["attempts"][0]["error"]
    assert receiver.received == []
    stack.http("admin").delete(f"{WEBHOOKS}/{made['id']}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/hook", "where nothing may be sent"),
        ("https://169.254.169.254/latest", "where nothing may be sent"),
        ("https://localhost/hook", "where nothing may be sent"),
        ("http://example.org/hook", "https://"),
        ("hook", "no URL"),
    ],
)
def test_a_callback_that_may_not_be_called_is_refused(stack: Stack, url: str, said: str) -> None:
    """Without an allowance, before the export is made."""
    put_all(stack, dataset := unique("hooks"), [Picture("a.jpg", jpeg())])
    body = {"dataset_name": dataset, "name": "first", "callback_url": url}
    answer = stack.http("member").post(f"{EXPORTS}/", json=body)
    assert answer.status_code == 422
    assert "callback_url" in answer.text
    assert said in answer.json()["message"]
    assert stack.http().get(f"{EXPORTS}/?dataset_name={dataset}").json() == []


def outcome(status: int = 204, error: str = "") -> Outcome:
    return Outcome(status, error, 3)


def test_a_message_is_claimed_by_one_and_recorded_by_its_claimant(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    first, _ = registry.create_webhook(database, tenant.id, "https://a.org", [], "")
    second, _ = registry.create_webhook(database, tenant.id, "https://b.org", [], "")
    ids = [outbox.send_test(database, tenant.id, webhook.id) for webhook in (first, first, second)]
    claimed = outbox.claim_due(database, 10)
    # One of each webhook.
    assert {message.url for message in claimed} == {"https://a.org", "https://b.org"}
    assert outbox.claim_due(database, 10) == []
    outbox.record(database, claimed[0], outcome(500, "the receiver answered 500"))
    # Twice counts once.
    outbox.record(database, claimed[0], outcome())
    outbox.record(database, claimed[1], outcome())
    (last,) = outbox.claim_due(database, 10)
    assert last.id in ids
    assert last.id not in {message.id for message in claimed}
    # Sent again by request while it is under way: its result counts no more.
    outbox.redeliver(database, tenant.id, last.id)
    outbox.record(database, last, outcome())
    (again,) = outbox.claim_due(database, 10)
    assert (again.id, again.attempt > last.attempt) == (last.id, True)


def test_retries_end_and_days_of_failures_disable(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    organization = tenant.id
    made, _ = registry.create_webhook(database, organization, "https://a.org", [], "")
    outbox.send_test(database, organization, made.id)
    engine = create_engine(database.engine.url)
    waited = []
    for _ in range(len(outbox.PAUSES) + 1):
        (message,) = outbox.claim_due(database, 1)
        outbox.record(database, message, outcome(0, "the receiver cannot be reached: no"))
        with engine.begin() as connection:
            row = connection.execute(
                text("SELECT due_at, (SELECT max(at) FROM webhook_attempts) FROM webhook_messages")
            ).one()
            if row[0] is not None:
                waited.append(row[0] - row[1])
                connection.execute(text("UPDATE webhook_messages SET due_at = 1"))
    engine.dispose()
    for pause, least in zip(waited, outbox.PAUSES, strict=True):
        assert least <= pause <= 1.11 * least
    (delivery,), _ = outbox.list_deliveries(database, organization, made.id, 10, 0)
    assert delivery.status is DeliveryStatus.failed
    assert len(delivery.attempts) == 10
    (found,) = registry.list_webhooks(database, organization)
    assert found.enabled
    assert found.failing_since is not None
    with database.write() as connection:
        connection.execute(text("UPDATE webhooks SET failing_since = failing_since - 432001"))
    outbox.send_test(database, organization, made.id)
    (message,) = outbox.claim_due(database, 1)
    outbox.record(database, message, outcome(503, "the receiver answered 503"))
    (found,) = registry.list_webhooks(database, organization)
    assert (found.enabled, "five days" in found.disabled_reason) == (False, True)
    # Nothing more is sent to it.
    outbox.send_test(database, organization, made.id)
    assert outbox.claim_due(database, 10) == []


def test_a_callback_is_never_disabled_and_forgotten_at_last(empty_record: Database) -> None:
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    export = tenant.create(Lane.short)

    def told(url: str) -> None:
        with database.write() as connection:
            connection.execute(exports.update().values(callback_url=url))
            outbox.announce(connection, tenant.id, export, EventType.expiring)
            outbox.announce(connection, tenant.id, export, EventType.completed)

    for url in ("https://a.org", "https://b.org", "https://a.org"):
        told(url)
    first, second = sorted(outbox.claim_due(database, 10), key=lambda message: message.url)
    # One of each address, as of webhooks.
    assert (first.url, second.url) == ("https://a.org", "https://b.org")
    assert first.secrets == (callbacks.secret_of(database, tenant.id),) == second.secrets
    outbox.record(database, first, outcome(410, "the receiver answered 410"))
    outbox.record(database, second, outcome())
    (third,) = outbox.claim_due(database, 10)
    assert third.url == "https://a.org"
    outbox.record(database, third, outcome(500, "the receiver answered 500"))
    found, total = outbox.list_deliveries(database, tenant.id, callbacks.CALLBACKS, 10, 0)
    assert total == 3
    assert {(row.url, row.status) for row in found} == {
        ("https://a.org", DeliveryStatus.failed),
        ("https://a.org", DeliveryStatus.pending),
        ("https://b.org", DeliveryStatus.delivered),
    }
    assert registry.list_webhooks(database, tenant.id) == []
    with pytest.raises(NotFound):
        registry.update_webhook(database, tenant.id, third.webhook_id, enabled=False)

    def addresses() -> set[str]:
        with database.read() as connection:
            return set(connection.scalars(text("SELECT url FROM webhooks")))

    outbox.purge(database, 10)
    assert addresses() == {"https://a.org", "https://b.org"}
    with database.write() as connection:
        for table in ("webhooks", "webhook_messages"):
            connection.execute(text(f"UPDATE {table} SET created_at = created_at - 700000"))
    told("https://b.org")
    outbox.purge(database, 10)
    # One message waits, and the other address was used just now.
    assert addresses() == {"https://a.org", "https://b.org"}
    with database.write() as connection:
        connection.execute(text("UPDATE webhook_messages SET status = 'failed'"))
    outbox.purge(database, 10)
    assert addresses() == {"https://b.org"}


def test_a_request_without_a_callback_is_the_same_to_an_older_server() -> None:
    """Its Idempotency-Key is known again by both while one follows the other."""
    request = ExportRequest("cells", "first", "coco", class_filter=("car",), idempotency_key="k")
    assert creation._hash(request) == HASH
    assert creation._hash(replace(request, callback_url="https://a.org")) != HASH


def test_only_those_who_want_it_are_told(empty_record: Database) -> None:
    database = empty_record
    tenant, other = Tenant.make(database, "tenant"), Tenant.make(database, "other")
    export = tenant.create(Lane.short)
    wanted: dict[str, str] = {}
    for whose in (tenant, other):
        for events in ([], ["export.failed"], ["export.completed"]):
            made, _ = registry.create_webhook(
                database, whose.id, f"https://{len(wanted)}.org", events, ""
            )
            wanted[made.id] = made.url
    off, _ = registry.create_webhook(database, tenant.id, "https://off.org", [], "")
    registry.update_webhook(database, tenant.id, off.id, enabled=False)
    with database.write() as connection:
        outbox.announce(connection, tenant.id, export, EventType.completed)
    told = {message.url for message in outbox.claim_due(database, 20)}
    assert told == {"https://0.org", "https://2.org"}


def test_a_webhook_is_deleted_while_messages_are_written_and_sent(empty_record: Database) -> None:
    """Whoever writes to it is done before, or finds it gone; nobody meets half of it."""
    database = empty_record
    tenant = Tenant.make(database, "tenant")
    export = tenant.create(Lane.short)
    made: list[str] = []
    faults: list[BaseException] = []
    is_over = threading.Event()

    def test() -> None:
        if made:
            outbox.send_test(database, tenant.id, made[-1])

    def announce() -> None:
        with database.write() as connection:
            outbox.announce(connection, tenant.id, export, EventType.completed)

    def send() -> None:
        for message in outbox.claim_due(database, 5):
            outbox.record(database, message, outcome(500, "the receiver answered 500"))

    def purge() -> None:
        outbox.purge(database, 100)

    def over_and_over(work: Callable[[], None]) -> None:
        while not is_over.is_set():
            try:
                work()
            except NotFound:
                continue
            except BaseException as fault:
                faults.append(fault)
                return

    writers = [
        threading.Thread(target=over_and_over, args=[work])
        for work in (test, test, announce, announce, send, send, purge)
    ]
    for writer in writers:
        writer.start()
    try:
        for number in range(40):
            one, _ = registry.create_webhook(database, tenant.id, f"https://{number}.org", [], "")
            made.append(one.id)
            time.sleep(random.uniform(0, 0.02))
            registry.delete_webhook(database, tenant.id, one.id)
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    assert faults == []
    with database.read() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table))
            for table in (webhooks, webhook_messages, webhook_attempts)
        ]
    assert counts == [0, 0, 0]
