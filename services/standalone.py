"""Everything in one process, on one machine: what `cartouche run` and `cartouche demo` serve."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import dramatiq

from services.database.engine import Database
from services.database.migrate import migrate
from services.doorbell import Doorbell, connect_broker
from services.embedded import EmbeddedStore
from services.exports import work
from services.exports.reconciler import Reconciler
from services.identity.keys import create_key, ensure_organization
from services.identity.roles import Role
from services.parts import database as open_database
from services.parts import storage_config
from services.server.server import Server
from services.settings import Settings, SettingsError
from services.storage import ObjectStore, StorageConfig

ORGANIZATION = "demo"
KEY_ROLES = (Role.owner, Role.member, Role.viewer)


class Worker(Protocol):
    """What the composition root makes of the workers package."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


MakeWorker = Callable[[Settings, Database, ObjectStore, dramatiq.Broker, Doorbell], Worker]
#: Serves the gateway: gRPC address, host, port, and whom to tell the port.
ServeGateway = Callable[[str, str, int, Callable[[int], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Standing:
    """A Cartouche that serves."""

    base_url: str
    server: str
    keys: dict[str, str]


@asynccontextmanager
async def standalone(
    settings: Settings, make_worker: MakeWorker, serve_gateway: ServeGateway
) -> AsyncIterator[Standing]:
    """Starts every part, and stops them in turn at the end of the block.

    Raises:
        SettingsError: another process uses the same home, or a setting is wrong.
        EmbeddedStoreError: the embedded store does not start.
        OSError: a port is taken.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_alone(settings.home))
        store = ObjectStore(stack.enter_context(_store_config(settings)))
        stack.callback(store.close)
        record = open_database(settings)
        stack.callback(record.close)
        migrate(record)
        store.ensure_buckets()
        broker = connect_broker(settings.broker_url)
        doorbell = Doorbell(broker)
        stack.callback(doorbell.close)
        if settings.embedded_broker:
            # Its bells were lost with the last process, and so were its leases.
            work.orphan_all(record)
        worker = make_worker(settings, record, store, broker, doorbell)
        worker.start()
        stack.callback(worker.stop)
        reconciler = Reconciler(record, doorbell, store, settings)
        reconciler.start()
        stack.callback(reconciler.stop)
        server = Server(settings, record, doorbell, store)
        await server.start()
        stack.push_async_callback(server.stop)
        address = f"{settings.grpc_host}:{server.port}"
        port = await stack.enter_async_context(_gateway(settings, address, serve_gateway))
        yield Standing(
            base_url=f"http://{settings.http_host}:{port}",
            server=address,
            keys=demo_keys(record, settings.home),
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else may use `home` meanwhile."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another Cartouche runs on {home}; stop it, or set CARTOUCHE_HOME to another "
                "folder"
            ) from None
        yield


@contextmanager
def _store_config(settings: Settings) -> Iterator[StorageConfig]:
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


def demo_keys(database: Database, home: Path) -> dict[str, str]:
    """The keys of the organization `demo`, made at the first start and kept in keys.json."""
    path = home / "keys.json"
    if path.exists():
        found: dict[str, str] = json.loads(path.read_text())
        return found
    organization_id = ensure_organization(database, ORGANIZATION)
    keys = {role.name: create_key(database, organization_id, role) for role in KEY_ROLES}
    written = path.with_suffix(".new")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(keys, file, indent=2)
        file.write("\n")
    written.replace(path)
    return keys
