"""WebhookService over gRPC: messages in, domain calls, messages out."""

import grpc
from cartouche.webhooks.v1 import webhook_service_pb2 as pb
from cartouche.webhooks.v1 import webhook_service_pb2_grpc as rpc

from services.database.engine import Database
from services.identity.roles import Role
from services.rpc.caller import caller
from services.rpc.paging import page
from services.rpc.timestamps import timestamp
from services.webhooks import callbacks, outbox, registry
from services.webhooks.model import Attempt, Delivery, DeliveryStatus, Webhook

_STATUSES = {
    DeliveryStatus.pending: pb.DELIVERY_STATUS_PENDING,
    DeliveryStatus.delivered: pb.DELIVERY_STATUS_DELIVERED,
    DeliveryStatus.failed: pb.DELIVERY_STATUS_FAILED,
}


class WebhookServicer(rpc.WebhookServiceServicer):
    """Roles: reading viewer; the rest admin."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def CreateWebhook(
        self, request: pb.CreateWebhookRequest, context: grpc.ServicerContext
    ) -> pb.CreateWebhookResponse:
        made, secret = registry.create_webhook(
            self._database, _admin(), request.url, request.events, request.description
        )
        return pb.CreateWebhookResponse(webhook=_webhook(made), secret=secret)

    def ListWebhooks(
        self, request: pb.ListWebhooksRequest, context: grpc.ServicerContext
    ) -> pb.ListWebhooksResponse:
        found = registry.list_webhooks(self._database, caller().organization_id)
        return pb.ListWebhooksResponse(webhooks=map(_webhook, found))

    def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, context: grpc.ServicerContext
    ) -> pb.UpdateWebhookResponse:
        changed = registry.update_webhook(
            self._database,
            _admin(),
            request.id,
            url=request.url if request.HasField("url") else None,
            events=request.events if request.set_events else None,
            description=request.description if request.HasField("description") else None,
            enabled=request.enabled if request.HasField("enabled") else None,
        )
        return pb.UpdateWebhookResponse(webhook=_webhook(changed))

    def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, context: grpc.ServicerContext
    ) -> pb.DeleteWebhookResponse:
        registry.delete_webhook(self._database, _admin(), request.id)
        return pb.DeleteWebhookResponse(id=request.id)

    def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, context: grpc.ServicerContext
    ) -> pb.RotateWebhookSecretResponse:
        organization_id = _admin()
        if request.id == callbacks.CALLBACKS:
            secret = callbacks.rotate_secret(self._database, organization_id)
        else:
            secret = registry.rotate_secret(self._database, organization_id, request.id)
        return pb.RotateWebhookSecretResponse(secret=secret)

    def GetCallbackSecret(
        self, request: pb.GetCallbackSecretRequest, context: grpc.ServicerContext
    ) -> pb.GetCallbackSecretResponse:
        return pb.GetCallbackSecretResponse(secret=callbacks.secret_of(self._database, _admin()))

    def TestWebhook(
        self, request: pb.TestWebhookRequest, context: grpc.ServicerContext
    ) -> pb.TestWebhookResponse:
        message_id = outbox.send_test(self._database, _admin(), request.id)
        return pb.TestWebhookResponse(delivery_id=message_id)

    def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, context: grpc.ServicerContext
    ) -> pb.ListDeliveriesResponse:
        limit, offset = page(request.limit, request.offset)
        found, total = outbox.list_deliveries(
            self._database, caller().organization_id, request.webhook_id, limit, offset
        )
        return pb.ListDeliveriesResponse(deliveries=map(_delivery, found), total=total)

    def RedeliverMessage(
        self, request: pb.RedeliverMessageRequest, context: grpc.ServicerContext
    ) -> pb.RedeliverMessageResponse:
        message_id = outbox.redeliver(self._database, _admin(), request.id)
        return pb.RedeliverMessageResponse(id=message_id)


def _admin() -> str:
    """The caller's organization, for a call of role admin."""
    who = caller()
    who.require(Role.admin)
    return who.organization_id


def _webhook(found: Webhook) -> pb.Webhook:
    message = pb.Webhook(
        id=found.id,
        url=found.url,
        events=found.events,
        description=found.description,
        enabled=found.enabled,
        disabled_reason=found.disabled_reason,
        created_at=timestamp(found.created_at),
    )
    if found.failing_since is not None:
        message.failing_since.CopyFrom(timestamp(found.failing_since))
    return message


def _delivery(found: Delivery) -> pb.Delivery:
    message = pb.Delivery(
        id=found.id,
        event=found.event,
        payload=found.payload,
        status=_STATUSES[found.status],
        created_at=timestamp(found.created_at),
        attempts=map(_attempt, found.attempts),
        url=found.url,
    )
    if found.due_at is not None:
        message.next_attempt_at.CopyFrom(timestamp(found.due_at))
    return message


def _attempt(found: Attempt) -> pb.DeliveryAttempt:
    return pb.DeliveryAttempt(
        at=timestamp(found.at),
        http_status=found.http_status,
        error=found.error,
        milliseconds=found.milliseconds,
    )
