"""Assembles the gateway."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

import grpc
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from gateway import console_files, errors, routes, schemas, webhooks
from gateway.answers import json_response, problem_response
from gateway.config import GatewayConfig
from gateway.edge import Edge
from gateway.errors import Problem
from gateway.events import Streams
from gateway.exchange import Exchange, exchange_of
from gateway.server import Server

logger = logging.getLogger(__name__)

_DESCRIPTION = """\
Exports are downloadable ZIP archives of a dataset's images and annotations. They are built
in the background: create one, read its status until it is `completed`, then ask for the
link to its archive.

Errors have a word for programs (`error`), a sentence for people (`message`, and the same as
`detail`) and, where there is more to say, `details`. Every answer carries `X-Request-Id`;
send your own to have it used. The official Python SDK, known by its User-Agent, gets these
answers in the envelopes that its version reads.
"""

#: The refusals of the gateway itself that a wrong key comes before.
_AFTER_THE_KEY = (400, 404, 422)


class _State(TypedDict):
    server: Server
    config: GatewayConfig
    streams: Streams


def create_app(config: GatewayConfig) -> FastAPI:
    """The gateway as an ASGI application. It starts, and answers 503, where the gRPC server
    is away. `state.streams` of it must end before it does."""
    streams = Streams()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[_State]:
        server = Server(config)
        try:
            yield {"server": server, "config": config, "streams": streams}
        finally:
            await server.close()

    app = FastAPIOffline(
        title="Cartouche Exports API",
        version="1",
        description=_DESCRIPTION,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.streams = streams
    app.include_router(routes.router())
    app.include_router(webhooks.router())
    if config.console:
        app.include_router(console_files.router(config.store_origins))
    app.add_middleware(Edge, trace=config.trace)
    app.add_api_route(
        "/healthz", _healthz, response_model=schemas.Health, summary="Is it alive?", tags=["Health"]
    )
    app.add_api_route(
        "/readyz",
        _readyz,
        response_model=schemas.Health,
        responses={503: {"model": schemas.Health}},
        summary="Can it serve?",
        tags=["Health"],
    )
    for kind, handler in (
        (Problem, _on_problem),
        (RequestValidationError, _on_wrong_query),
        (HTTPException, _on_http_exception),
        (grpc.aio.AioRpcError, _on_rpc_error),
    ):
        app.add_exception_handler(kind, handler)
    return app


async def _healthz() -> Response:
    """Answers as long as the gateway's process works."""
    return json_response({"status": "ok"})


async def _readyz(request: Request) -> Response:
    """Asks the gRPC server whether it serves."""
    server = request.state.server
    assert isinstance(server, Server)
    if await server.is_ready():
        return json_response({"status": "ok"})
    return json_response({"status": "unavailable"}, 503)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    exchange = exchange_of(request)
    if error.status in _AFTER_THE_KEY and exchange.target.methods and not exchange.authenticated:
        server = request.state.server
        assert isinstance(server, Server)
        try:
            await server.authenticate(exchange)
        except Problem as problem:
            error = problem
        except grpc.aio.AioRpcError as rpc_error:
            error = _problem_of(rpc_error, exchange)
    return problem_response(error, exchange)


async def _on_wrong_query(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _on_problem(request, errors.wrong_fields(error.errors()))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the router says by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    exchange = exchange_of(request)
    if error.status_code == 405:
        methods = exchange.target.methods or (error.headers or {}).get("Allow", "").split(", ")
        problem = errors.method_not_allowed(methods)
    elif error.status_code == 404:
        problem = errors.no_such_path()
    else:
        problem = Problem(error.status_code, "bad_request", str(error.detail))
    return problem_response(problem, exchange)


async def _on_rpc_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, grpc.aio.AioRpcError)
    exchange = exchange_of(request)
    return problem_response(_problem_of(error, exchange), exchange)


def _problem_of(error: grpc.aio.AioRpcError, exchange: Exchange) -> Problem:
    problem = errors.from_rpc(error, exchange.request_id)
    if problem.status >= 500:
        # Clients are told nothing of what lies behind the gateway.
        logger.warning(
            "the server did not answer a call",
            extra={
                "code": error.code().name,
                "error": error.details(),
                "request_id": exchange.request_id,
            },
        )
    return problem
