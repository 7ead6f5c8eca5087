"""The `cartouche` command: the composition root, which puts the parts of a process together.

Only here are the gateway and the workers imported, and only inside the commands, so that
each process loads what it runs.
"""

import asyncio
import sys
from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services import logs, settings

if TYPE_CHECKING:
    import dramatiq

    from services.database.engine import Database
    from services.doorbell import Doorbell
    from services.settings import Settings
    from services.standalone import ServeGateway
    from services.storage import ObjectStore
    from workers.runtime import WorkerRuntime

app = typer.Typer(
    name="cartouche",
    help="Dataset exports for computer-vision teams, over REST and gRPC.\n\n"
    "`cartouche run` serves everything on one machine; `serve`, `gateway` and `worker` run one "
    "part each. Settings come from the environment (CARTOUCHE_…); the README lists them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
keys_app = typer.Typer(help="API keys.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")


def main() -> None:
    """Entry of the `cartouche` command: errors in one line, without a traceback."""
    from services.embedded import EmbeddedStoreError
    from services.errors import CartoucheError
    from services.storage import StorageError

    try:
        app()
    except (CartoucheError, settings.SettingsError, StorageError, EmbeddedStoreError) as error:
        print(f"cartouche: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"cartouche: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"cartouche {package_version('cartouche')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def _load() -> "Settings":
    loaded = settings.load()
    logs.configure(loaded.log_level)
    return loaded


@app.command()
def run() -> None:
    """Serve everything on this machine: gateway, gRPC server, workers, database and store.

    State lies under CARTOUCHE_HOME. The first start makes the organization `demo` with keys
    in keys.json, and imports the demo dataset.
    """
    from services.demo.first_start import import_demo, welcome
    from services.processes import run_until_stopped, say_ready
    from services.standalone import standalone

    loaded = _load()

    async def serving(stopped: asyncio.Event) -> None:
        async with standalone(loaded, _make_worker, _serve_gateway(loaded)) as standing:
            await asyncio.to_thread(import_demo, standing.server, standing.keys["owner"])
            print(welcome(standing.base_url, standing.server, loaded.home / "keys.json"))
            say_ready()
            await stopped.wait()

    run_until_stopped(serving)


@app.command()
def serve() -> None:
    """Run the gRPC server. Needs a migrated database (`cartouche migrate`)."""
    from services.database.migrate import require_newest
    from services.doorbell import Doorbell, connect_broker
    from services.exports.reconciler import Reconciler
    from services.parts import database, storage_config
    from services.processes import run_until_stopped, say_ready
    from services.server.server import Server
    from services.storage import ObjectStore

    loaded = _load()
    record = database(loaded)
    require_newest(record)
    store = ObjectStore(storage_config(loaded))
    doorbell = Doorbell(connect_broker(_shared_broker(loaded)))
    reconciler = Reconciler(record, doorbell, store, loaded)

    async def serving(stopped: asyncio.Event) -> None:
        server = Server(loaded, record, doorbell, store)
        await server.start()
        reconciler.start()
        say_ready()
        await stopped.wait()
        await server.stop()

    run_until_stopped(serving)
    reconciler.stop()
    doorbell.close()
    store.close()
    record.close()


@app.command()
def gateway() -> None:
    """Run the REST gateway, which calls the gRPC server at CARTOUCHE_SERVER."""
    from services.processes import run_until_stopped, say_ready

    loaded = _load()
    serve_gateway = _serve_gateway(loaded)

    async def serving(stopped: asyncio.Event) -> None:
        task = asyncio.ensure_future(
            serve_gateway(loaded.server, loaded.http_host, loaded.http_port, lambda _: say_ready())
        )
        ended = asyncio.ensure_future(stopped.wait())
        await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_until_stopped(serving)


@app.command()
def worker() -> None:
    """Run one worker process. Run more of them to build more at once."""
    from services.database.migrate import require_newest
    from services.doorbell import Doorbell, connect_broker
    from services.exports.reconciler import Reconciler
    from services.parts import database, storage_config
    from services.processes import run_until_stopped, say_ready
    from services.storage import ObjectStore
    from workers.runtime import WorkerRuntime

    loaded = _load()
    record = database(loaded)
    require_newest(record)
    store = ObjectStore(storage_config(loaded))
    broker = connect_broker(_shared_broker(loaded))
    doorbell = Doorbell(broker)
    runtime = WorkerRuntime(loaded, record, store, broker, doorbell)
    reconciler = Reconciler(record, doorbell, store, loaded)

    async def serving(stopped: asyncio.Event) -> None:
        runtime.start()
        reconciler.start()
        say_ready()
        await stopped.wait()

    run_until_stopped(serving)
    reconciler.stop()
    runtime.stop()
    doorbell.close()
    store.close()
    record.close()


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema, and make the buckets if they are missing."""
    from services.database.migrate import migrate as migrate_database
    from services.parts import database, storage_config
    from services.storage import ObjectStore

    loaded = _load()
    record = database(loaded)
    migrate_database(record)
    print("the database is at the newest schema")
    if not loaded.embedded_store:
        ObjectStore(storage_config(loaded)).ensure_buckets()
        print("the buckets are there")


@keys_app.command("create")
def create_key(
    organization: Annotated[
        str, typer.Option(help="Name of the organization; made if it is missing.")
    ],
    role: Annotated[str, typer.Option(help="viewer, member, admin or owner.")],
) -> None:
    """Make an API key and print it: the only time that it is seen."""
    from services.database.migrate import require_newest
    from services.errors import Invalid
    from services.identity.keys import create_key as create
    from services.identity.keys import ensure_organization
    from services.identity.roles import Role
    from services.parts import database

    if role not in Role.__members__:
        raise Invalid.of("role", f"{role!r} is not one of {', '.join(Role.__members__)}")
    record = database(_load())
    require_newest(record)
    print(create(record, ensure_organization(record, organization), Role[role]))


@app.command("rate-limit")
def rate_limit(
    organization: Annotated[str, typer.Option(help="Name of the organization.")],
    per_hour: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Calls an hour of each of its keys; 0: any number.",
            show_default="the default",
        ),
    ] = None,
) -> None:
    """Give an organization a rate limit of its own, or the default again."""
    from services.database.migrate import require_newest
    from services.identity.keys import set_rate_limit
    from services.parts import database

    record = database(_load())
    require_newest(record)
    set_rate_limit(record, organization, per_hour)


@app.command("import")
def import_dataset(
    dataset: Annotated[str, typer.Option(help="Name of the dataset; made if it is missing.")],
    format: Annotated[str, typer.Option(help="coco, pascal_voc, yolo or pictograph.")],
    images: Annotated[Path, typer.Option(help="Folder of the image files.")],
    annotations: Annotated[Path, typer.Option(help="Annotation file or folder.")],
    status: Annotated[
        str | None,
        typer.Option(
            help="Status of the images: new, annotate, review or complete.",
            show_default="what the source says, else new",
        ),
    ] = None,
    split_from: Annotated[
        Path | None,
        typer.Option(help="Folder with train.txt, val.txt, test.txt, or a file of path,split."),
    ] = None,
    server: Annotated[
        str, typer.Option(envvar="CARTOUCHE_SERVER", help="gRPC address of the server.")
    ] = "127.0.0.1:50051",
    api_key: Annotated[
        str, typer.Option(envvar="CARTOUCHE_API_KEY", help="API key of role member or above.")
    ] = "",
) -> None:
    """Import images and annotations into a dataset. Running it again changes nothing."""
    from services.importing.command import run_import

    raise typer.Exit(
        run_import(
            dataset=dataset,
            format=format,
            images=images,
            annotations=annotations,
            status=status,
            split_from=split_from,
            server=server,
            api_key=api_key,
        )
    )


@app.command()
def demo(
    target: Annotated[Path, typer.Option(help="File of the archive.")] = Path(
        "street-scenes-coco.zip"
    ),
) -> None:
    """Show it all: serve, import the demo dataset, export it, download and check the archive."""
    from services.demo.first_start import import_demo
    from services.demo.tour import run as tour
    from services.processes import run_until_stopped
    from services.standalone import standalone

    loaded = settings.load()
    loaded = loaded.model_copy(
        update={"http_port": 0, "grpc_port": 0, "home": loaded.home / "demo"}
    )
    logs.configure("WARNING")

    async def serving(stopped: asyncio.Event) -> None:
        print("Starting Cartouche: database, broker, object store, gRPC server, gateway, worker …")
        async with standalone(loaded, _make_worker, _serve_gateway(loaded)) as standing:
            print("Importing the demo dataset, unless it is there …")
            await asyncio.to_thread(import_demo, standing.server, standing.keys["owner"])
            await asyncio.to_thread(tour, standing.base_url, standing.keys["member"], target)

    run_until_stopped(serving)


def _make_worker(
    loaded: "Settings",
    record: "Database",
    store: "ObjectStore",
    broker: "dramatiq.Broker",
    doorbell: "Doorbell",
) -> "WorkerRuntime":
    from workers.runtime import WorkerRuntime

    return WorkerRuntime(loaded, record, store, broker, doorbell)


def _serve_gateway(loaded: "Settings") -> "ServeGateway":
    from gateway.config import GatewayConfig
    from gateway.serving import serve as serve_http

    proxies = tuple(part.strip() for part in loaded.trusted_proxies.split(",") if part.strip())

    async def serving(server: str, host: str, port: int, on_ready: Callable[[int], None]) -> None:
        await serve_http(GatewayConfig(server, trusted_proxies=proxies), host, port, on_ready)

    return serving


def _shared_broker(loaded: "Settings") -> str:
    """The broker of a process that runs one part: it must be shared with the others.

    Raises:
        SettingsError: it is the in-process one.
    """
    if loaded.embedded_broker:
        raise settings.SettingsError(
            "CARTOUCHE_BROKER_URL is not set. Give amqp://… or redis://…, or use "
            "`cartouche run`, which needs no broker."
        )
    return loaded.broker_url
