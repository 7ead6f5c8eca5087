"""The least that REST over gRPC can be, to be compared with: a FastAPI route that calls a method
which does nothing and answers with an empty message.

Run as `python -m tests.bench.bare server PORT`, and `gateway PORT SERVER` for the other; each
prints `ready` when it listens.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import uvicorn
from fastapi import FastAPI, Request, Response
from google.protobuf.empty_pb2 import Empty

METHOD = "/bare.Bare/Nothing"


async def serve(port: int) -> None:
    """A gRPC server with one method."""

    async def nothing(request: Empty, context: object) -> Empty:
        return Empty()

    handler = grpc.unary_unary_rpc_method_handler(
        nothing,
        request_deserializer=Empty.FromString,
        response_serializer=Empty.SerializeToString,
    )
    server = grpc.aio.server()
    service, method = METHOD.strip("/").split("/")
    server.add_registered_method_handlers(service, {method: handler})
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {method: handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


def gateway(server: str) -> FastAPI:
    """The route."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        options = [("grpc.enable_http_proxy", 0)]
        async with grpc.aio.insecure_channel(server, options) as channel:
            call = channel.unary_unary(
                METHOD,
                request_serializer=Empty.SerializeToString,
                response_deserializer=Empty.FromString,
            )
            print("ready", flush=True)
            yield {"call": call}

    app = FastAPI(lifespan=lifespan)

    @app.get("/nothing")
    async def nothing(request: Request) -> Response:
        await request.state.call(Empty())
        return Response(b"{}", media_type="application/json")

    return app


def main() -> None:
    """Runs one of the two until it is ended."""
    match sys.argv[1:]:
        case ["server", port]:
            asyncio.run(serve(int(port)))
        case ["gateway", port, server]:
            uvicorn.run(
                gateway(server),
                host="127.0.0.1",
                port=int(port),
                log_level="warning",
                access_log=False,
            )
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
