"""Who waits for an export hears of its changes, instead of looking again and again.

PostgreSQL tells them (`LISTEN`, from a trigger of the schema) over one connection for a process;
SQLite, which one process has to itself, by its own transactions. Neither is relied on: a connection
breaks, and a pooler between passes nothing on, so whoever waits looks by himself too.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, event

from services.database.bounds import BoundedConnection, network_options
from services.database.engine import Database

logger = logging.getLogger(__name__)

#: What the triggers notify; the payload is the ids of the export and of its organization.
CHANNEL = "cartouche_export_changed"
#: Seconds between looks whether the connection still is one, and whether to stop.
_PING = 5.0
_LOOK = 0.5
#: Seconds that a stop waits for the look under way: a silent server keeps nobody.
_FAREWELL = 2.0
#: Seconds until it is tried again to connect.
_PAUSE = 2.0
#: Seconds for which changes on SQLite are gathered: it does not say of which export they are.
_GATHER = 0.02


class Changes:
    """The changes of exports in one process. `start` it on the loop of those who wait."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_gathering = False

    def start(self) -> None:
        """Hears of changes from now on."""
        self._loop = asyncio.get_running_loop()
        if self._database.is_sqlite:
            event.listen(self._database.engine, "commit", self._committed)
            return
        self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Hears no more."""
        self._stopped.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _FAREWELL)
        elif self._loop is not None:
            event.remove(self._database.engine, "commit", self._committed)

    @contextmanager
    def of(self, whose: str) -> Iterator[asyncio.Event]:
        """An event that is set when the export of this id, or one of the organization of this id,
        may have changed; to be cleared before a look."""
        changed = asyncio.Event()
        self._waiting.setdefault(whose, set()).add(changed)
        try:
            yield changed
        finally:
            left = self._waiting[whose]
            left.discard(changed)
            if not left:
                del self._waiting[whose]

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._hear()
            except psycopg.Error as error:
                logger.warning("changes are not heard for now", extra={"error": str(error).strip()})
                self._stopped.wait(_PAUSE)

    def _hear(self) -> None:
        """Hears until it is stopped.

        Raises:
            psycopg.Error: the database does not answer.
        """
        url = self._database.engine.url
        arguments, options = self._database.engine.dialect.create_connect_args(url)
        options = {**network_options(url), **options, "autocommit": True}
        with BoundedConnection.connect(*arguments, **options) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            # What changed while nobody listened.
            self._tell(None)
            silent = 0.0
            while not self._stopped.is_set():
                heard = [told.payload for told in connection.notifies(timeout=_LOOK, stop_after=1)]
                for ids in heard:
                    self._tell(ids)
                silent = 0.0 if heard else silent + _LOOK
                if silent >= _PING:
                    connection.execute("SELECT 1")
                    silent = 0.0

    def _committed(self, connection: Connection) -> None:
        is_write = "cartouche_begin" in connection.get_execution_options()
        if is_write and self._waiting and not self._is_gathering:
            self._is_gathering = True
            self._call(self._gather)

    def _gather(self) -> None:
        asyncio.get_running_loop().call_later(_GATHER, self._gathered)

    def _gathered(self) -> None:
        self._is_gathering = False
        self._set(None)

    def _tell(self, ids: str | None) -> None:
        if self._waiting:
            self._call(self._set, ids)

    def _call(self, callback: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            self._stopped.set()

    def _set(self, ids: str | None) -> None:
        """Wakes those who wait for an export or its organization, or everybody."""
        if ids is None:
            found: Iterable[Iterable[asyncio.Event]] = self._waiting.values()
        else:
            found = [self._waiting.get(whose, ()) for whose in ids.split()]
        for events in found:
            for changed in events:
                changed.set()
