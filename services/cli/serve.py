"""`cartouche run`, `serve`, `gateway` and `worker`: the processes that last."""

import asyncio
from functools import partial

from services.cli.wiring import load_settings, make_gateway, make_worker, tracing_to


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
        gateway = make_gateway(settings)
        async with standalone(settings, make_worker, gateway, import_demo) as standing:
            print(
                welcome(
                    standing.base_url,
                    standing.server.address,
                    settings.home / "keys.json",
                    has_console=settings.console,
                )
            )
            say_ready()
            await stopped.wait()

    with tracing_to(settings, "run"):
        run_until_stopped(serving)


def serve() -> None:
    """Run the gRPC server. Needs a migrated database (`cartouche migrate`)."""
    from services.exports.backlog import show_backlog
    from services.process import threads
    from services.process.health import LoopBeat, Phase
    from services.process.metrics_port import metrics_port
    from services.process.parts import shared_parts
    from services.process.signals import run_until_stopped, say_ready
    from services.server.server import Server

    settings = load_settings()
    phase, beat = Phase(), LoopBeat()
    with (
        tracing_to(settings, "server"),
        shared_parts(settings, threads.of_server(settings)) as parts,
        metrics_port(
            settings,
            {"database": partial(show_backlog, parts.database, settings.organization_steps)},
            liveness={"event loop": beat.fault},
            readiness={"server": phase.fault},
        ),
    ):

        async def serving(stopped: asyncio.Event) -> None:
            async with beat.beating():
                server = Server(settings, parts.database, parts.doorbell, parts.store)
                await server.start()
                parts.reconciler.start()
                phase.begin()
                say_ready()
                await stopped.wait()
                phase.end()
                parts.reconciler.end()
                await server.stop()

        run_until_stopped(serving)
        parts.reconciler.stop()


def gateway() -> None:
    """Run the REST gateway, which calls the gRPC server at CARTOUCHE_SERVER."""
    from services.process.gateway_look import look_at_gateway
    from services.process.health import LoopBeat, Phase
    from services.process.metrics_port import metrics_port
    from services.process.signals import run_until_stopped, say_ready

    settings = load_settings()
    serve_gateway = make_gateway(settings)
    phase, beat = Phase(), LoopBeat()
    # Known once it listens.
    port = settings.http_port

    def on_ready(listening: int) -> None:
        nonlocal port
        port = listening
        phase.begin()
        say_ready()

    async def serving(stopped: asyncio.Event) -> None:
        task = asyncio.ensure_future(
            serve_gateway(settings.server, settings.http_host, settings.http_port, on_ready)
        )
        ended = asyncio.ensure_future(stopped.wait())
        async with beat.beating():
            await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
            phase.end()
            if task.done():
                await task
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with (
        tracing_to(settings, "gateway"),
        metrics_port(
            settings,
            {"server": lambda: look_at_gateway(settings.http_host, port)},
            liveness={"event loop": beat.fault},
            readiness={"gateway": phase.fault},
        ),
    ):
        run_until_stopped(serving)


def worker() -> None:
    """Run one worker process. Run more of them to build more at once."""
    from services.process import threads
    from services.process.health import Phase
    from services.process.metrics_port import metrics_port
    from services.process.parts import looks_at, shared_parts
    from services.process.signals import run_until_stopped, say_ready

    settings = load_settings()
    with (
        tracing_to(settings, "worker"),
        shared_parts(settings, threads.of_worker(settings)) as parts,
    ):
        runtime = make_worker(settings, parts, has_own_process=True)
        phase = Phase()

        async def serving(stopped: asyncio.Event) -> None:
            runtime.start()
            parts.reconciler.start()
            phase.begin()
            say_ready()
            await stopped.wait()
            phase.end()

        with metrics_port(
            settings,
            looks_at(parts),
            liveness=runtime.liveness,
            readiness={"worker": phase.fault, **runtime.readiness},
        ):
            run_until_stopped(serving)
            parts.reconciler.end()
            runtime.stop()
            parts.reconciler.stop()
