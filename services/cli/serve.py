"""`cartouche run`, `serve`, `gateway` and `worker`: the processes that last."""

import asyncio

from services.cli.wiring import load_settings, make_gateway, make_worker


def run() -> None:
    """Serve everything on this machine: gateway, gRPC server, workers, database and store.

    State lies under CARTOUCHE_HOME. The first start makes the organization `demo` with keys
    in keys.json, and imports the demo dataset.
    """
    from services.demo.first_start import import_demo, welcome
    from services.process.signals import run_until_stopped, say_ready
    from services.process.standalone import standalone

    settings = load_settings()

    async def serving(stopped: asyncio.Event) -> None:
        async with standalone(settings, make_worker, make_gateway(settings)) as standing:
            await asyncio.to_thread(import_demo, standing.server, standing.keys["owner"])
            print(welcome(standing.base_url, standing.server, settings.home / "keys.json"))
            say_ready()
            await stopped.wait()

    run_until_stopped(serving)


def serve() -> None:
    """Run the gRPC server. Needs a migrated database (`cartouche migrate`)."""
    from services.process import threads
    from services.process.parts import shared_parts
    from services.process.signals import run_until_stopped, say_ready
    from services.server.server import Server

    settings = load_settings()
    with shared_parts(settings, threads.of_server()) as parts:

        async def serving(stopped: asyncio.Event) -> None:
            server = Server(settings, parts.database, parts.doorbell, parts.store)
            await server.start()
            parts.reconciler.start()
            say_ready()
            await stopped.wait()
            await server.stop()

        run_until_stopped(serving)
        parts.reconciler.stop()


def gateway() -> None:
    """Run the REST gateway, which calls the gRPC server at CARTOUCHE_SERVER."""
    from services.process.signals import run_until_stopped, say_ready

    settings = load_settings()
    serve_gateway = make_gateway(settings)

    async def serving(stopped: asyncio.Event) -> None:
        task = asyncio.ensure_future(
            serve_gateway(
                settings.server, settings.http_host, settings.http_port, lambda _: say_ready()
            )
        )
        ended = asyncio.ensure_future(stopped.wait())
        await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_until_stopped(serving)


def worker() -> None:
    """Run one worker process. Run more of them to build more at once."""
    from services.process import threads
    from services.process.parts import shared_parts
    from services.process.signals import run_until_stopped, say_ready

    settings = load_settings()
    with shared_parts(settings, threads.of_worker(settings)) as parts:
        runtime = make_worker(settings, parts)

        async def serving(stopped: asyncio.Event) -> None:
            runtime.start()
            parts.reconciler.start()
            say_ready()
            await stopped.wait()

        run_until_stopped(serving)
        parts.reconciler.stop()
        runtime.stop()
