"""The paths of webhooks: each turns a request into a call of WebhookService."""

from typing import Annotated, Any

from cartouche.webhooks.v1 import webhook_service_pb2 as pb
from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

from gateway import schemas
from gateway.addresses import WEBHOOKS
from gateway.answers import json_response
from gateway.bodies import time_words
from gateway.exchange import exchange_of
from gateway.handlers import MAX_OFFSET, read_body, server_of

_STATUSES = {
    pb.DELIVERY_STATUS_PENDING: "pending",
    pb.DELIVERY_STATUS_DELIVERED: "delivered",
    pb.DELIVERY_STATUS_FAILED: "failed",
}


async def create_webhook(request: Request) -> Response:
    """Tell an address what happens to exports, as Standard Webhooks has it. The answer alone has
    the secret. Requires the role admin or owner.
    """
    body = await read_body(request, schemas.CreateWebhook)
    server = server_of(request)
    answer = await server.call(
        server.webhooks.CreateWebhook,
        pb.CreateWebhookRequest(url=body.url, events=body.events, description=body.description),
        exchange_of(request),
    )
    # A secret is a credential.
    exchange_of(request).headers["Cache-Control"] = "no-store"
    return json_response(_webhook(answer.webhook) | {"secret": answer.secret}, 201)


async def list_webhooks(request: Request) -> Response:
    """List the organization's webhooks, the oldest first."""
    server = server_of(request)
    answer = await server.call(
        server.webhooks.ListWebhooks, pb.ListWebhooksRequest(), exchange_of(request)
    )
    return json_response({"webhooks": [_webhook(row) for row in answer.webhooks]})


async def update_webhook(request: Request, webhook_id: str) -> Response:
    """Change a webhook; `enabled` takes one up again that was disabled. Requires the role admin or
    owner.
    """
    body = await read_body(request, schemas.UpdateWebhook)
    server = server_of(request)
    answer = await server.call(
        server.webhooks.UpdateWebhook,
        pb.UpdateWebhookRequest(
            id=webhook_id,
            url=body.url,
            events=body.events or (),
            set_events=body.events is not None,
            description=body.description,
            enabled=body.enabled,
        ),
        exchange_of(request),
    )
    return json_response(_webhook(answer.webhook))


async def delete_webhook(request: Request, webhook_id: str) -> Response:
    """Delete a webhook, with the log of its messages. Requires the role admin or owner."""
    server = server_of(request)
    answer = await server.call(
        server.webhooks.DeleteWebhook, pb.DeleteWebhookRequest(id=webhook_id), exchange_of(request)
    )
    return json_response({"id": answer.id, "deleted": True})


async def rotate_secret(request: Request, webhook_id: str) -> Response:
    """Make a new secret, or with the id `callbacks` that of the callbacks of exports. Messages are
    signed with both for a day. Requires the role admin or owner.
    """
    server = server_of(request)
    answer = await server.call(
        server.webhooks.RotateWebhookSecret,
        pb.RotateWebhookSecretRequest(id=webhook_id),
        exchange_of(request),
    )
    exchange_of(request).headers["Cache-Control"] = "no-store"
    return json_response({"secret": answer.secret})


async def callback_secret(request: Request) -> Response:
    """Read what the callbacks of all exports are signed with (`callback_url` of Create export).
    Requires the role admin or owner.
    """
    server = server_of(request)
    answer = await server.call(
        server.webhooks.GetCallbackSecret, pb.GetCallbackSecretRequest(), exchange_of(request)
    )
    exchange_of(request).headers["Cache-Control"] = "no-store"
    return json_response({"secret": answer.secret})


async def test_webhook(request: Request, webhook_id: str) -> Response:
    """Send a message of the type `webhook.test`. Requires the role admin or owner."""
    server = server_of(request)
    answer = await server.call(
        server.webhooks.TestWebhook, pb.TestWebhookRequest(id=webhook_id), exchange_of(request)
    )
    return json_response({"delivery_id": answer.delivery_id})


async def list_deliveries(
    request: Request,
    webhook_id: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many to answer with.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=MAX_OFFSET, description="How many to leave out before them.")
    ] = 0,
) -> Response:
    """List the messages of the last week to a webhook, the newest first, with every attempt; with
    the id `callbacks` those to the callbacks of all exports.
    """
    server = server_of(request)
    answer = await server.call(
        server.webhooks.ListDeliveries,
        pb.ListDeliveriesRequest(webhook_id=webhook_id, limit=limit, offset=offset),
        exchange_of(request),
    )
    return json_response(
        {"deliveries": [_delivery(row) for row in answer.deliveries], "total": answer.total}
    )


async def redeliver_message(request: Request, delivery_id: str) -> Response:
    """Send a message again, under its id. Requires the role admin or owner."""
    server = server_of(request)
    answer = await server.call(
        server.webhooks.RedeliverMessage,
        pb.RedeliverMessageRequest(id=delivery_id),
        exchange_of(request),
    )
    return json_response({"delivery_id": answer.id})


def router() -> APIRouter:
    """The routes, each with and without a trailing slash."""
    key = Security(APIKeyHeader(name="X-API-Key", auto_error=False))
    routes = APIRouter(dependencies=[key], tags=["Webhooks"])
    error: dict[str, Any] = {"model": schemas.Error}
    codes: tuple[int | str, ...] = (400, 401, 403, 404, 409, 414, 422, 429, 500, 503, 504)
    every: dict[int | str, dict[str, Any]] = dict.fromkeys(codes, error)
    one = f"{WEBHOOKS}/{{webhook_id}}"
    table: list[tuple[str, str, Any, Any, str]] = [
        ("POST", WEBHOOKS, create_webhook, schemas.NewWebhook, "Create webhook"),
        ("GET", WEBHOOKS, list_webhooks, schemas.Webhooks, "List webhooks"),
        ("PATCH", one, update_webhook, schemas.Webhook, "Update webhook"),
        ("DELETE", one, delete_webhook, schemas.DeletedWebhook, "Delete webhook"),
        ("POST", f"{one}/rotate", rotate_secret, schemas.Secret, "Rotate webhook secret"),
        (
            "GET",
            f"{WEBHOOKS}/callbacks/secret",
            callback_secret,
            schemas.Secret,
            "Read callback secret",
        ),
        ("POST", f"{one}/test", test_webhook, schemas.MessageId, "Test webhook"),
        ("GET", f"{one}/deliveries", list_deliveries, schemas.Deliveries, "List deliveries"),
        (
            "POST",
            f"{WEBHOOKS}/deliveries/{{delivery_id}}/redeliver",
            redeliver_message,
            schemas.MessageId,
            "Redeliver message",
        ),
    ]
    bodies: dict[Any, type[BaseModel]] = {
        create_webhook: schemas.CreateWebhook,
        update_webhook: schemas.UpdateWebhook,
    }
    for method, path, handler, answer, summary in table:
        extra: dict[str, Any] = {}
        if handler in bodies:
            content = {"application/json": {"schema": bodies[handler].model_json_schema()}}
            extra = {"requestBody": {"required": True, "content": content}}
        good = 201 if handler is create_webhook else 200
        for form in (path, f"{path}/"):
            routes.add_api_route(
                form,
                handler,
                methods=[method],
                status_code=good,
                summary=summary,
                responses=every | {good: {"model": answer}},
                openapi_extra=extra,
                include_in_schema=form == path,
                # A name for each form.
                name=f"{handler.__name__}{form.removeprefix(path)}",
            )
    return routes


def _webhook(message: pb.Webhook) -> dict[str, Any]:
    failing = time_words(message.failing_since) if message.HasField("failing_since") else None
    return {
        "id": message.id,
        "url": message.url,
        "events": list(message.events),
        "description": message.description,
        "enabled": message.enabled,
        "disabled_reason": message.disabled_reason or None,
        "created_at": time_words(message.created_at),
        "failing_since": failing,
    }


def _delivery(message: pb.Delivery) -> dict[str, Any]:
    due = time_words(message.next_attempt_at) if message.HasField("next_attempt_at") else None
    return {
        "id": message.id,
        "event": message.event,
        "payload": message.payload,
        "status": _STATUSES[message.status],
        "created_at": time_words(message.created_at),
        "next_attempt_at": due,
        "attempts": [
            {
                "at": time_words(attempt.at),
                "http_status": attempt.http_status or None,
                "error": attempt.error or None,
                "milliseconds": attempt.milliseconds,
            }
            for attempt in message.attempts
        ],
        "url": message.url,
    }
