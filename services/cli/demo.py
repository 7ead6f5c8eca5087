"""`cartouche demo`: all of it once, from start to archive or to its link."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.wiring import make_gateway, make_worker

if TYPE_CHECKING:
    from services.importing.endpoint import Endpoint


def demo(
    target: Annotated[Path, typer.Option(help="File of the archive.")] = Path(
        "street-scenes-coco.zip"
    ),
    at: Annotated[
        str,
        typer.Option(
            help="REST address of a Cartouche that serves already, at CARTOUCHE_SERVER, to use "
            "with CARTOUCHE_API_KEY: the link of the archive is printed then.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Show it all: serve, import the demo dataset, export it, download and check the archive."""
    if at:
        _print_link(at)
        return
    from services import logs, settings
    from services.demo.first_start import farewell, import_demo
    from services.demo.tour import run as tour
    from services.process.signals import run_until_stopped
    from services.process.standalone import standalone

    found = settings.load()
    loaded = found.model_copy(update={"http_port": 0, "grpc_port": 0, "home": found.home / "demo"})
    logs.configure("WARNING")

    def fill(server: "Endpoint", owner: str) -> None:
        print("Importing the demo dataset, unless it is there …")
        import_demo(server, owner)

    async def serving(stopped: asyncio.Event) -> None:
        print("Starting Cartouche: database, broker, object store, gRPC server, gateway, worker …")
        async with standalone(loaded, make_worker, make_gateway(loaded), fill) as standing:
            await asyncio.to_thread(tour, standing.base_url, standing.keys["member"], target)
        if found.console:
            print(farewell(sys.argv[0], loaded.home, f"http://{found.http_host}:{found.http_port}"))

    run_until_stopped(serving)


def _print_link(at: str) -> None:
    """Imports into a Cartouche of others and exports there."""
    from services import logs, settings
    from services.demo.first_start import import_demo
    from services.demo.tour import link
    from services.importing.endpoint import endpoint

    found = settings.load()
    if not found.api_key:
        raise settings.SettingsError("CARTOUCHE_API_KEY is not set: give a key of role member")
    logs.configure("WARNING")
    import_demo(endpoint(found), found.api_key)
    print(link(at, found.api_key))
