"""What the Exports API does: each handler turns a request into a call of the server, and the
server's answer into the client's dialect."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.exports.v1 import export_service_pb2 as pb
from fastapi import Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from gateway import bodies, dialects, errors, schemas
from gateway.addresses import ById, Reading
from gateway.addresses import dataset_name as read_name
from gateway.answers import json_response
from gateway.config import GatewayConfig
from gateway.events import Event, Streams, event_stream
from gateway.exchange import exchange_of
from gateway.server import Server

Model = TypeVar("Model", bound=BaseModel)

#: What offsets the server can count.
MAX_OFFSET = 2**31 - 1

_STATUS_FILTERS = {word: value for value, word in bodies.STATUSES.items()}


async def create_export(request: Request) -> Response:
    """Create a new export job. Returns at once; the archive is built in the background.

    With an `Idempotency-Key` header (at most 255 characters) the request can be sent again:
    the same key with the same body replays the first answer for 24 hours, and is refused (409)
    once that export is deleted.
    """
    body = await read_body(request, schemas.CreateExport)
    exchange, server = exchange_of(request), server_of(request)
    answer = await server.call(
        server.exports.CreateExport,
        pb.CreateExportRequest(
            dataset_name=body.dataset_name,
            name=body.name,
            format=body.format,
            include_images=body.include_images,
            class_filter=body.class_filter or (),
            status_filter=body.status_filter or "",
            include_unannotated=body.include_unannotated,
            organize_by_split=body.organize_by_split,
            idempotency_key=request.headers.get("idempotency-key", ""),
            return_recent_duplicate=exchange.dialect.repeats_create,
            callback_url=body.callback_url or "",
        ),
        exchange,
    )
    return json_response(dialects.one_export(exchange.dialect, bodies.export(answer.export)), 201)


async def preview_export(request: Request) -> Response:
    """What an export would hold, before it is made: counts, an estimated size, and what the
    format would lose. Takes the body of Create export; the name may be left out. Answers at
    once, whatever the number of images, so it can be called while somebody types.
    """
    body = await read_body(request, schemas.PreviewExport)
    exchange, server = exchange_of(request), server_of(request)
    answer = await server.call(
        server.exports.PreviewExport,
        pb.PreviewExportRequest(
            dataset_name=body.dataset_name,
            name=body.name or "",
            format=body.format,
            include_images=body.include_images,
            class_filter=body.class_filter or (),
            status_filter=body.status_filter or "",
            include_unannotated=body.include_unannotated,
            organize_by_split=body.organize_by_split,
        ),
        exchange,
    )
    return json_response(dialects.other_answer(exchange.dialect, bodies.preview(answer)))


async def list_exports(
    request: Request,
    dataset_name: Annotated[
        str | None,
        Query(
            min_length=1,
            description="Only exports of this dataset: name or slug.",
            json_schema_extra={"maxLength": 100, "pattern": schemas.NAME_PATTERN},
        ),
    ] = None,
    status: Annotated[
        schemas.Status | None, Query(description="Only exports of this status.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many to answer with.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=MAX_OFFSET, description="How many to leave out before them.")
    ] = 0,
    format: Annotated[
        list[Annotated[str, Field(json_schema_extra={"enum": list(schemas.FORMATS)})]] | None,
        Query(max_length=100, description="Only exports in this format; may be given again."),
    ] = None,
    search: Annotated[
        str,
        Query(
            max_length=100,
            description="Only exports with this in their name, whatever the case.",
            json_schema_extra={"pattern": schemas.NAME_PATTERN},
        ),
    ] = "",
) -> Response:
    """List the organization's exports, newest first; `X-Total-Count` counts all pages.

    With `Accept: text/event-stream` the answer is a stream of Server-Sent Events: `page` with
    `exports` and `total`, then `changes` with the `exports` that are new or have changed, the ids
    that are `gone` from the page, and `total`; `end` with a `reason` is the last one.
    """
    exchange, server = exchange_of(request), server_of(request)
    wanted = pb.ListExportsRequest(
        dataset_name=dataset_name or "",
        status=_STATUS_FILTERS[status] if status else pb.EXPORT_STATUS_UNSPECIFIED,
        limit=limit,
        offset=offset,
        formats=format or exchange.dialect.formats,
        search=search,
    )
    if exchange.wants_events:
        return await event_stream(
            server.stream(
                server.exports.WatchExports, pb.WatchExportsRequest(page=wanted), exchange
            ),
            _page_events,
            lambda: "shutdown",
            exchange,
            _streams(request),
            request.headers.get("last-event-id", ""),
        )
    answer = await server.call(server.exports.ListExports, wanted, exchange)
    exchange.headers["X-Total-Count"] = str(answer.total)
    rows = [bodies.export(row) for row in answer.exports]
    return json_response(
        dialects.many_exports(
            exchange.dialect, rows, total=answer.total, limit=limit, offset=offset
        )
    )


async def read_export(request: Request) -> Response:
    """An export, or the link to its archive, as the path says.

    With `Accept: text/event-stream` an export is told as a stream of Server-Sent Events: `export`
    now and after every change, and at last `end` with a `reason`: `completed`, `failed`,
    `deleted`, or `shutdown`: come back.
    """
    target = exchange_of(request).target
    if not target.answers("GET"):
        raise errors.method_not_allowed(target.methods)

    async def read(reading: Reading) -> Response:
        return await (_download if reading.download else _get)(request, reading)

    return await _first_found(target.readings, read)


async def delete_export(request: Request) -> Response:
    """Delete an export. Requires the role admin or owner."""
    exchange, server = exchange_of(request), server_of(request)
    target = exchange.target

    async def delete(reading: Reading) -> Response:
        answer = await server.call(
            server.exports.DeleteExport, pb.DeleteExportRequest(**_address(reading)), exchange
        )
        return json_response(dialects.other_answer(exchange.dialect, bodies.deleted(answer)))

    refusal = None if target.answers("DELETE") else errors.method_not_allowed(target.methods)
    exports = [reading for reading in target.readings if not reading.download]
    return await _first_found(exports, delete, refusal)


async def act_on_export(request: Request) -> Response:
    """Retry an export that failed, or cancel one that is not finished, as the path says.
    Requires the role member or higher.
    """
    exchange = exchange_of(request)
    target = exchange.target
    if not target.action:
        raise errors.method_not_allowed(target.methods)
    act = (
        partial(_retry, await read_body(request, schemas.RetryExport, b"{}"))
        if target.action == "retry"
        else _cancel
    )

    async def change(reading: Reading) -> Response:
        export = await act(request, reading)
        return json_response(dialects.one_export(exchange.dialect, bodies.export(export)))

    return await _first_found(target.acted, change)


async def _first_found(
    readings: Sequence[Reading],
    call: Callable[[Reading], Awaitable[Response]],
    refusal: errors.Problem | None = None,
) -> Response:
    """What the likeliest reading gives at which there is something.

    Raises:
        Problem: `refusal` where nothing is there, or there cannot be.
        grpc.aio.AioRpcError: the server's error; of several that find nothing, the first.
    """
    not_found: grpc.aio.AioRpcError | None = None
    for reading in readings:
        try:
            return await call(reading)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            not_found = not_found or error
    raise refusal or not_found or errors.unaddressable()


async def _retry(body: schemas.RetryExport, request: Request, reading: Reading) -> pb.Export:
    server = server_of(request)
    answer = await server.call(
        server.exports.RetryExport,
        pb.RetryExportRequest(**_address(reading), fresh=body.fresh),
        exchange_of(request),
    )
    return answer.export


async def _cancel(request: Request, reading: Reading) -> pb.Export:
    server = server_of(request)
    answer = await server.call(
        server.exports.CancelExport,
        pb.CancelExportRequest(**_address(reading)),
        exchange_of(request),
    )
    return answer.export


async def bulk_delete_exports(request: Request) -> Response:
    """Delete up to 1,000 exports by id. Requires the role admin or owner."""
    body = await read_body(request, schemas.BulkDelete)
    exchange, server = exchange_of(request), server_of(request)
    answer = await server.call(
        server.exports.BulkDeleteExports,
        pb.BulkDeleteExportsRequest(export_ids=body.export_ids),
        exchange,
    )
    return json_response(dialects.other_answer(exchange.dialect, bodies.bulk_deleted(answer)))


async def list_datasets(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many to answer with.")] = 100,
    offset: Annotated[
        int, Query(ge=0, le=MAX_OFFSET, description="How many to leave out before them.")
    ] = 0,
) -> Response:
    """List the organization's datasets, by name."""
    server, exchange = server_of(request), exchange_of(request)
    answer = await server.call(
        server.catalog.ListDatasets,
        catalog_pb.ListDatasetsRequest(limit=limit, offset=offset),
        exchange,
    )
    rows = [bodies.dataset(row) for row in answer.datasets]
    page = dialects.many_datasets(
        exchange.dialect, rows, total=answer.total, limit=limit, offset=offset
    )
    return json_response(page)


async def read_dataset(request: Request) -> Response:
    """A dataset, by name or slug."""
    name = read_name(request.path_params["dataset_name"])
    if name is None:
        raise errors.no_such_dataset()
    server, exchange = server_of(request), exchange_of(request)
    answer = await server.call(
        server.catalog.GetDataset, catalog_pb.GetDatasetRequest(dataset_name=name), exchange
    )
    return json_response(dialects.one_dataset(exchange.dialect, bodies.dataset(answer.dataset)))


async def list_formats(request: Request) -> Response:
    """List the formats, the default first: what each is for, and what it cannot hold."""
    server = server_of(request)
    answer = await server.call(
        server.exports.ListFormats, pb.ListFormatsRequest(), exchange_of(request)
    )
    return json_response({"formats": [bodies.export_format(row) for row in answer.formats]})


async def _watch(request: Request, reading: Reading) -> Response:
    exchange, server = exchange_of(request), server_of(request)
    last = ""

    def events(answer: pb.WatchExportResponse) -> Iterator[Event]:
        nonlocal last
        body = bodies.export(answer.export)
        last = body["status"]
        yield Event("export", body)

    return await event_stream(
        server.stream(
            server.exports.WatchExport, pb.WatchExportRequest(**_address(reading)), exchange
        ),
        events,
        lambda: last,
        exchange,
        _streams(request),
        request.headers.get("last-event-id", ""),
    )


def _page_events(answer: pb.WatchExportsResponse) -> Iterator[Event]:
    told = {"exports": [bodies.export(row) for row in answer.exports], "total": answer.total}
    if answer.is_page:
        yield Event("page", told)
    else:
        yield Event("changes", told | {"gone": list(answer.gone)})


async def _get(request: Request, reading: Reading) -> Response:
    exchange, server = exchange_of(request), server_of(request)
    if exchange.wants_events:
        return await _watch(request, reading)
    answer = await server.call(
        server.exports.GetExport, pb.GetExportRequest(**_address(reading)), exchange
    )
    return json_response(dialects.one_export(exchange.dialect, bodies.export(answer.export)))


async def _download(request: Request, reading: Reading) -> Response:
    exchange, server = exchange_of(request), server_of(request)
    answer = await server.call(
        server.exports.GetDownloadUrl, pb.GetDownloadUrlRequest(**_address(reading)), exchange
    )
    # The link is a credential.
    exchange.headers["Cache-Control"] = "no-store"
    return json_response(dialects.other_answer(exchange.dialect, bodies.download(answer)))


def _address(reading: Reading) -> dict[str, Any]:
    """A reading as the address of a request message."""
    address = reading.address
    if isinstance(address, ById):
        return {"id": address.id}
    return {"by_name": pb.ExportName(dataset_name=address.dataset_name, name=address.name)}


def _streams(request: Request) -> Streams:
    streams = request.state.streams
    assert isinstance(streams, Streams)
    return streams


def server_of(request: Request) -> Server:
    """The server that a request is passed on to."""
    server = request.state.server
    assert isinstance(server, Server)
    return server


async def read_body(request: Request, model: type[Model], default: bytes = b"") -> Model:
    """The body of a request, whatever its Content-Type says; an empty one is `default`.

    Raises:
        Problem: no key was sent, or the body is too large or slow, no JSON, or has wrong fields.
        grpc.aio.AioRpcError: a large body came with a key that the server does not take.
    """
    if not exchange_of(request).api_key:
        raise errors.no_api_key()
    config = request.state.config
    assert isinstance(config, GatewayConfig)
    try:
        async with asyncio.timeout(config.patience.body):
            body = await _read(request, config)
    except TimeoutError:
        raise errors.too_slow() from None
    try:
        return model.model_validate_json(body or default)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise errors.not_json(found[0]["ctx"]["error"]) from None
        raise errors.wrong_fields(found) from None


async def _read(request: Request, config: GatewayConfig) -> bytes:
    body = bytearray()
    is_known = False
    async for chunk in request.stream():
        body += chunk
        if not is_known and len(body) > config.max_strange_bytes:
            await server_of(request).authenticate(exchange_of(request))
            is_known = True
        if len(body) > config.max_body_bytes:
            raise errors.too_large(config.max_body_bytes)
    return bytes(body)
