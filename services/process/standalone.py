"""Everything in one process, on one machine: what `cartouche run` and `cartouche demo` serve."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from services.database.migrate import migrate
from services.exports import claims
from services.exports.backlog import show_backlog
from services.importing.endpoint import Endpoint, endpoint
from services.process import threads
from services.process.configured import open_database, storage_config
from services.process.first_keys import first_keys
from services.process.gateway_look import look_at_gateway
from services.process.health import Fault, LoopBeat, Phase
from services.process.home import alone_in
from services.process.metrics_port import metrics_port
from services.process.parts import Parts, assembled, looks_at
from services.server.server import Server
from services.settings import Settings, SettingsError
from services.storage import StorageConfig
from services.storage.embedded import EmbeddedStore


class Worker(Protocol):
    """What the composition root makes of the workers package."""

    @property
    def liveness(self) -> Mapping[str, Fault]: ...

    @property
    def readiness(self) -> Mapping[str, Fault]: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


MakeWorker = Callable[[Settings, Parts], Worker]
#: Puts data into a Cartouche that nobody meets yet, with a key of role owner.
Fill = Callable[[Endpoint, str], None]
#: Serves the gateway: gRPC address, host, port, and whom to tell the port.
ServeGateway = Callable[[str, str, int, Callable[[int], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A Cartouche that serves."""

    base_url: str
    server: Endpoint
    #: API keys of the organization `demo`, by role.
    keys: dict[str, str]


@asynccontextmanager
async def standalone(
    settings: Settings, make_worker: MakeWorker, serve_gateway: ServeGateway, fill: Fill
) -> AsyncIterator[Standing]:
    """Starts every part, and stops them in turn at the end of the block.

    The gateway comes last: who asks it finds all that `fill` puts in, or is not answered yet.

    Raises:
        CartoucheError: `fill` could not put it in.
        SettingsError: another process uses the same home, or a setting is wrong.
        EmbeddedStoreError: the embedded store does not start.
        OSError: a port is taken.
    """
    if settings.worker_lanes != "all":
        raise SettingsError(
            f"CARTOUCHE_WORKER_LANES is {settings.worker_lanes!r}, and `cartouche run` has no "
            "other worker: leave it out"
        )
    if bool(settings.grpc_certificate) != bool(settings.server_ca):
        raise SettingsError(
            "the gateway of `cartouche run` calls the server as everybody does: give "
            "CARTOUCHE_GRPC_CERTIFICATE and CARTOUCHE_SERVER_CA, or neither"
        )
    async with AsyncExitStack() as stack:
        stack.enter_context(alone_in(settings.home))
        store_config = stack.enter_context(_store_config(settings))
        database = stack.enter_context(
            closing(open_database(settings, threads.of_everything(settings)))
        )
        migrate(database)
        parts = stack.enter_context(
            assembled(settings, database, store_config, settings.broker_url)
        )
        parts.store.ensure_buckets()
        if settings.embedded_broker:
            # Its bells were lost with the last process, and so were its leases.
            claims.orphan_all(database)
        worker = make_worker(settings, parts)
        phase, beat = Phase(), LoopBeat()
        http_port = settings.http_port
        stack.enter_context(
            metrics_port(
                settings,
                {
                    **looks_at(parts),
                    "database": partial(show_backlog, database, settings.organization_steps),
                    "gateway": lambda: look_at_gateway(settings.http_host, http_port),
                },
                liveness={"event loop": beat.fault, **worker.liveness},
                readiness={"process": phase.fault, **worker.readiness},
            )
        )
        await stack.enter_async_context(beat.beating())
        worker.start()
        stack.callback(worker.stop)
        parts.reconciler.start()
        stack.callback(parts.reconciler.stop)
        server = Server(settings, database, parts.doorbell, parts.store)
        await server.start()
        stack.push_async_callback(server.stop)
        address = f"{settings.grpc_host}:{server.port}"
        keys, called = first_keys(database, settings.home), endpoint(settings, address)
        await asyncio.to_thread(fill, called, keys["owner"])
        http_port = await stack.enter_async_context(_gateway(settings, address, serve_gateway))
        phase.begin()
        stack.callback(phase.end)
        yield Standing(
            base_url=f"http://{settings.http_host}:{http_port}",
            server=called,
            keys=keys,
        )


@contextmanager
def _store_config(settings: Settings) -> Iterator[StorageConfig]:
    """The store of the settings, or the embedded one, which ends with the block."""
    if not settings.embedded_store:
        yield storage_config(settings)
        return
    embedded = EmbeddedStore(settings.home, settings.s3_images_bucket, settings.s3_exports_bucket)
    try:
        yield embedded.start()
    finally:
        embedded.stop()


@asynccontextmanager
async def _gateway(
    settings: Settings, server: str, serve_gateway: ServeGateway
) -> AsyncIterator[int]:
    """A gateway that is ended with the block; its port."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(
        serve_gateway(server, settings.http_host, settings.http_port, port.set_result)
    )
    await asyncio.wait((task, port), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield await port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
