"""Running until told to stop: what every long-lived `cartouche` command shares."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from services.process.files import raise_file_limit


def say_ready() -> None:
    """One line on standard output: the process serves."""
    print("ready", flush=True)
    sys.stdout.flush()


def run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main` in an event loop, with an event that SIGTERM and Ctrl-C set, and with as many
    files as this process may open."""
    raise_file_limit()

    async def wrapped() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stopped.set)
        await main(stopped)

    asyncio.run(wrapped())
