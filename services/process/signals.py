"""Running until told to stop: what every long-lived `cartouche` command shares."""

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable

from services.process.files import raise_file_limit

logger = logging.getLogger(__name__)

#: Seconds after which a process has ended that was told to, whatever it still waits for: what takes
#: longer is a call of a part that is silent, and its claims run out by themselves.
GRACE = 25.0


def say_ready() -> None:
    """One line on standard output: the process serves.

    What was made until then, most of it code, is here to stay: the collector of garbage no longer
    walks it, which took it a tenth of a second with everything else at a stand.
    """
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    sys.stdout.flush()


def run_until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs `main` in an event loop, with an event that SIGTERM and Ctrl-C set, and with as many
    files as this process may open.

    The process ends `GRACE` seconds after that, even where somebody waits for a silent part then.
    """
    raise_file_limit()

    async def wrapped() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not stopped.is_set():
                threading.Thread(target=_end_in_time, name="grace", daemon=True).start()
            stopped.set()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)
        await main(stopped)

    asyncio.run(wrapped())


def _end_in_time() -> None:
    time.sleep(GRACE)
    left = sorted(thread.name for thread in threading.enumerate() if not thread.daemon)
    logger.warning("ends while somebody waits for a silent part", extra={"threads": left})
    logging.shutdown()
    os._exit(0)
