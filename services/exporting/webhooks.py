"""What `cartouche webhooks` does."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from cartouche.webhooks.v1 import webhook_service_pb2 as pb
from cartouche.webhooks.v1.webhook_service_pb2_grpc import WebhookServiceStub

from services.exporting.shown import as_json, json_line
from services.importing.endpoint import Endpoint
from services.importing.unary import answered
from services.texts import printable


class Webhooks:
    """The commands on one server. Each raises CartoucheError as the server says."""

    def __init__(self, stub: WebhookServiceStub, api_key: str, *, as_json: bool) -> None:
        self._stub = stub
        self._api_key = api_key
        self._as_json = as_json

    def create(self, url: str, events: list[str], description: str) -> None:
        """Registers an address, and shows its secret, once."""
        request = pb.CreateWebhookRequest(url=url, events=events, description=description)
        made = answered(self._stub.CreateWebhook, request, self._api_key)
        if self._as_json:
            print(json_line(made))
        else:
            print(f"webhook {made.webhook.id}; its secret, which is shown only now:")
            print(made.secret)

    def list(self) -> None:
        """Lists every webhook."""
        request = pb.ListWebhooksRequest()
        found = answered(self._stub.ListWebhooks, request, self._api_key).webhooks
        if self._as_json:
            print(orjson.dumps({"webhooks": [as_json(row) for row in found]}).decode())
            return
        for row in found:
            state = "enabled" if row.enabled else f"disabled: {row.disabled_reason or 'on request'}"
            if row.enabled and row.HasField("failing_since"):
                state = f"failing since {row.failing_since.ToDatetime():%Y-%m-%d %H:%M} UTC"
            events = ", ".join(row.events) or "all events"
            print(printable(f"{row.id}  {row.url}  {events}  {state}  {row.description}".rstrip()))

    def enable(self, webhook_id: str, *, enabled: bool) -> None:
        """Takes a webhook up again, or disables it."""
        request = pb.UpdateWebhookRequest(id=webhook_id, enabled=enabled)
        changed = answered(self._stub.UpdateWebhook, request, self._api_key)
        word = "enabled" if enabled else "disabled"
        print(json_line(changed.webhook) if self._as_json else f"{word} {webhook_id}")

    def delete(self, webhook_id: str) -> None:
        """Removes a webhook."""
        answered(self._stub.DeleteWebhook, pb.DeleteWebhookRequest(id=webhook_id), self._api_key)
        self._done(f"deleted {webhook_id}", "id", webhook_id)

    def rotate(self, webhook_id: str) -> None:
        """Makes a new secret, and shows it, once."""
        request = pb.RotateWebhookSecretRequest(id=webhook_id)
        made = answered(self._stub.RotateWebhookSecret, request, self._api_key)
        print(json_line(made) if self._as_json else made.secret)

    def callback_secret(self, *, rotate: bool) -> None:
        """Shows what callbacks are signed with, a new one on request."""
        if rotate:
            self.rotate("callbacks")
            return
        request = pb.GetCallbackSecretRequest()
        found = answered(self._stub.GetCallbackSecret, request, self._api_key)
        print(json_line(found) if self._as_json else found.secret)

    def test(self, webhook_id: str) -> None:
        """Sends a message that tells of nothing."""
        request = pb.TestWebhookRequest(id=webhook_id)
        sent = answered(self._stub.TestWebhook, request, self._api_key)
        self._done(f"message {sent.delivery_id} is on its way", "delivery_id", sent.delivery_id)

    def deliveries(self, webhook_id: str, limit: int) -> None:
        """Lists messages to a webhook with their attempts, the newest first."""
        request = pb.ListDeliveriesRequest(webhook_id=webhook_id, limit=limit)
        found = answered(self._stub.ListDeliveries, request, self._api_key)
        if self._as_json:
            print(json_line(found))
            return
        for row in found.deliveries:
            status = pb.DeliveryStatus.Name(row.status).removeprefix("DELIVERY_STATUS_").lower()
            print(
                f"{row.id}  {row.event}  {status}  {row.created_at.ToDatetime():%Y-%m-%d %H:%M:%S}"
                f"  {printable(row.url)}"
            )
            for attempt in row.attempts:
                what = attempt.error or f"answered {attempt.http_status}"
                at = f"{attempt.at.ToDatetime():%Y-%m-%d %H:%M:%S}"
                print(printable(f"    {at}  {attempt.milliseconds} ms  {what}"))

    def redeliver(self, message_id: str) -> None:
        """Sends a message again."""
        request = pb.RedeliverMessageRequest(id=message_id)
        answered(self._stub.RedeliverMessage, request, self._api_key)
        self._done(f"message {message_id} is on its way", "delivery_id", message_id)

    def _done(self, said: str, name: str, value: str) -> None:
        print(orjson.dumps({name: value}).decode() if self._as_json else said)


@contextmanager
def open_webhooks(server: Endpoint, api_key: str, *, as_json: bool) -> Iterator[Webhooks]:
    """The webhooks of the organization of the API key."""
    with server.channel() as channel:
        yield Webhooks(WebhookServiceStub(channel), api_key, as_json=as_json)
