"""What is disturbed: every part a process of its own, with proxies between them."""

import secrets
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from minio.minioadmin import MinioAdmin
from urllib3.exceptions import HTTPError

from tests.chaos.replicas import Pair
from tests.chaos.schedule import WORKERS
from tests.chaos.storm import Storm
from tests.disks import SmallDisk, small_disk
from tests.parts import REGION, Credentials, MinIO, Part, RabbitMQ, Redis
from tests.processes import Process, ProcessFailed
from tests.stack import CartoucheProcess, Production
from tests.toxiproxy import Proxy, Toxiproxy

#: Seconds. Longer than any one call of the record, as everywhere but in a test.
LEASE = 10
SETTINGS = {
    "CARTOUCHE_PART_SIZE": str(5 * 1024 * 1024),
    "CARTOUCHE_LEASE": str(LEASE),
    "CARTOUCHE_RECONCILE_INTERVAL": "1",
    "CARTOUCHE_WORKER_THREADS": "2",
    # What earlier archives hold is copied, and built anew now and then.
    "CARTOUCHE_COPY_GENERATIONS": "3",
    # What a failed export leaves is removed at once.
    "CARTOUCHE_RETRY_WINDOW": "0",
}
#: Megabytes of the disk of the store.
STORE_DISK = 4096
#: Seconds until a part or a process serves again.
PATIENCE = 120.0
#: The worker whose clock is moved.
CLOCK_WORKER = f"worker-{WORKERS}"
_CLOCK = Path(__file__).with_name("clock.c")

#: Writes down every claim, and how it ended: rows go when an export ends. Each process names
#: itself to PostgreSQL.
_HISTORY = """
CREATE TABLE claim_history (
    entry SERIAL, at FLOAT8, who TEXT, export_id TEXT, number INT, kind TEXT, was_held BOOL,
    held BOOL, was_attempt INT, attempt INT, was_due_at FLOAT8, was_done BOOL, done BOOL
);
CREATE INDEX ON claim_history (export_id, number);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO claim_history (
        at, who, export_id, number, kind, was_held, held, was_attempt, attempt, was_due_at,
        was_done, done
    ) VALUES (
        extract(epoch FROM clock_timestamp()), current_setting('application_name'), NEW.export_id,
        NEW.number, NEW.kind, OLD.held, NEW.held, OLD.attempt, NEW.attempt, OLD.due_at, OLD.done,
        NEW.done
    );
    RETURN NULL;
END $$;
CREATE TRIGGER claim_history AFTER UPDATE ON steps FOR EACH ROW
    WHEN ((OLD.attempt, OLD.held, OLD.done) IS DISTINCT FROM (NEW.attempt, NEW.held, NEW.done))
    EXECUTE FUNCTION note_claim();
"""


class Rig(Production):
    """A stack whose parts can be taken from it, and what lies between them."""

    def __init__(
        self,
        broker: RabbitMQ | Redis,
        pair: Pair,
        store: MinIO,
        disk: SmallDisk | None,
        toxiproxy: Toxiproxy | None,
        storm: Storm,
        clock: Path | None,
    ) -> None:
        """`disk`: of the store. `clock`: the library that moves the clock of a process."""
        self.broker, self.pair, self.store_disk, self.storm = broker, pair, disk, storm
        self.minio = store
        self.clock = clock
        #: By what they lead to; none where there is no toxiproxy.
        self.proxies: dict[str, Proxy] = {}
        database_url = pair.primary.create_database()
        self._database = urlsplit(database_url).path
        broker_url, endpoint = broker.url, store.endpoint
        if toxiproxy:
            targets = {
                "database": pair.primary.port,
                "broker": broker.port,
                "store": store.port,
            }
            self.proxies = {name: toxiproxy.proxy(name, port) for name, port in targets.items()}
            ports = {name: proxy.port for name, proxy in self.proxies.items()}
            database_url = _at(database_url, ports["database"])
            broker_url = _at(broker_url, ports["broker"])
            endpoint = _at(endpoint, ports["store"])
        super().__init__(
            database_url,
            broker_url,
            store,
            name=f"chaos-{broker.program}",
            workers=WORKERS,
            settings={**SETTINGS, "CARTOUCHE_S3_ENDPOINT": endpoint},
        )
        if toxiproxy:
            self.proxies["serve"] = toxiproxy.proxy("serve", self.grpc_port)
            self.env["CARTOUCHE_SERVER"] = f"127.0.0.1:{self.proxies['serve'].port}"
        self._admin = MinioAdmin(
            endpoint=f"127.0.0.1:{store.port}",
            credentials=StaticProvider(store.credentials.access_key, store.credentials.secret_key),
            region=REGION,
            secure=False,
        )
        #: The keys of each worker.
        self.keys = {
            f"worker-{number}": Credentials(f"worker{number}", secrets.token_hex(16))
            for number in range(1, WORKERS + 1)
        }
        for keys in self.keys.values():
            self.let_in(keys)
            self._admin.policy_set("readwrite", user=keys.access_key)
        self.clock_file = self.folder / "clock"
        self.move_clock(0)

    @property
    def database_url(self) -> str:
        """The record, at the primary of this moment."""
        return f"postgresql://cartouche@127.0.0.1:{self.pair.primary.port}{self._database}"

    def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """What a query on the record gives.

        Raises:
            psycopg.OperationalError: it is away.
        """
        options = "-c statement_timeout=5000"
        with psycopg.connect(
            self.database_url, autocommit=True, connect_timeout=3, options=options
        ) as connection:
            return connection.execute(query, values).fetchall()

    def keep_history(self) -> None:
        """Writes down every claim from here on."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(_HISTORY)

    def holds_a_step(self, name: str) -> bool:
        """Whether a worker is at work on something, as far as the record can be asked."""
        query = (
            "SELECT 1 FROM steps WHERE held AND %s = (SELECT who FROM claim_history AS h"
            " WHERE h.export_id = steps.export_id AND h.number = steps.number AND h.held"
            " ORDER BY entry DESC LIMIT 1)"
        )
        return quietly(lambda: bool(self.rows(query, name)))

    def let_in(self, keys: Credentials, secret: str | None = None) -> None:
        """Makes the store take the keys of a worker; or others than it has, with a `secret`."""
        _insist(lambda: self._admin.user_add(keys.access_key, secret or keys.secret_key))

    def lock_out(self, keys: Credentials) -> None:
        """Makes the store refuse the keys of a worker."""
        _insist(lambda: self._admin.user_disable(keys.access_key))

    def move_clock(self, seconds: int) -> None:
        """Moves the clock of one worker to so many seconds from the true time."""
        with self.clock_file.open("r+b" if self.clock_file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    def part(self, place: str) -> Part:
        """The server of that place."""
        parts: Mapping[str, Part] = {
            "database": self.pair.primary,
            "broker": self.broker,
            "store": self.minio,
        }
        return parts[place]

    def _environment_of(self, name: str) -> Mapping[str, str]:
        more = {"PGAPPNAME": name}
        if keys := self.keys.get(name):
            more["CARTOUCHE_S3_ACCESS_KEY"] = keys.access_key
            more["CARTOUCHE_S3_SECRET_KEY"] = keys.secret_key
        if name == CLOCK_WORKER and self.clock:
            more["LD_PRELOAD"] = str(self.clock)
            more["CLOCK_OFFSET_FILE"] = str(self.clock_file)
        return more


@contextmanager
def rig(broker_kind: type[RabbitMQ] | type[Redis]) -> Iterator[Rig]:
    """A rig that runs, without a trace in the end."""
    with ExitStack() as stack:

        def started(part: Part) -> None:
            stack.callback(part.remove)
            part.start()

        broker = broker_kind()
        started(broker)
        pair = Pair()
        stack.callback(pair.remove)
        pair.start()
        store = MinIO()
        stack.callback(shutil.rmtree, store.folder, ignore_errors=True)
        disk = small_disk(store.folder / "disk", STORE_DISK)
        if disk:
            stack.callback(disk.remove)
            store.data = disk.folder / "data"
            store.data.mkdir()
        started(store)
        toxiproxy = None
        if not Toxiproxy.missing():
            toxiproxy = Toxiproxy()
            started(toxiproxy)
        storm = stack.enter_context(Storm())
        clock = _clock(broker.folder)
        with Rig(broker, pair, store, disk, toxiproxy, storm, clock) as made:
            made.keep_history()
            yield made


def revive(part: Part) -> None:
    """Starts a part that may or may not run, as often as it takes.

    Raises:
        ProcessFailed: it does not come back.
    """
    _bring_back(part.process, part.title, part.start, part.wait)


def bring_up(process: CartoucheProcess) -> None:
    """Starts a process that may or may not run, as its supervisor would, as often as it takes.

    Raises:
        ProcessFailed: it does not come back.
    """
    _bring_back(process, process.name, process.start, process.wait_ready)


def _bring_back(
    process: Process, name: str, start: Callable[[], object], wait: Callable[[float], object]
) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(ProcessFailed):
            if not process.running:
                start()
            wait(30)
            return
        if time.monotonic() > until:
            raise ProcessFailed(f"{name} does not come back\n{process.log()}")
        time.sleep(0.5)


def _insist(order: Callable[[], object]) -> None:
    """Tells the store something, which may be away for a while."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            order()
            return
        except (MinioAdminException, HTTPError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def quietly(true: Callable[[], bool]) -> bool:
    """Whether something is so, as far as the record can be asked."""
    with suppress(psycopg.Error):
        return true()
    return False


def _at(url: str, port: int) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.port}", f":{port}", 1)


def _clock(folder: Path) -> Path | None:
    """The library that moves a clock; None: there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    built = folder / "clock.so"
    words = [compiler, "-O2", "-shared", "-fPIC", "-o", str(built), str(_CLOCK)]
    done = subprocess.run(words, capture_output=True, check=False)
    return None if done.returncode else built
