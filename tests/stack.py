"""A running Cartouche: real processes of the `cartouche` command, on free loopback ports."""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import grpc
import httpx

from services.importing.endpoint import Endpoint
from tests.parts import REGION, ObjectStore
from tests.processes import Process, environment, free_port

CARTOUCHE = Path(sys.executable).parent / "cartouche"
ROLES = ("owner", "admin", "member", "viewer")

#: Every stack that runs, so that a failing test can show their logs.
running_stacks: list["Stack"] = []


class CartoucheProcess(Process):
    """One `cartouche …` process; it serves once it has printed the line `ready`."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        folder: Path,
        env: Mapping[str, str],
        program: Path = CARTOUCHE,
    ):
        super().__init__(name, [program, *arguments], folder, env)

    def wait_ready(self, timeout: float = 60) -> Self:
        """Waits for the line `ready` on standard output.

        Raises:
            ProcessFailed: it ended, or did not print it within `timeout` seconds.
        """
        self.wait_until(lambda: "ready" in self.printed().splitlines(), timeout)
        return self

    def restart(self) -> None:
        """Ends it in order, where it runs, and starts it again on the same port."""
        self.stop()
        self.start()
        self.wait_ready()


class Stack:
    """A running Cartouche, its addresses, keys and clients. Use it as a context manager.

    `production` and `embedded` make the two kinds; both run the same code.
    """

    def __init__(self, name: str, organization: str, settings: Mapping[str, str]) -> None:
        self.name = name
        #: The organization that tests use when they name none.
        self.organization = organization
        self.folder = Path(tempfile.mkdtemp(prefix=f"cartouche-{name}-"))
        self.http_port = free_port()
        self.grpc_port = free_port()
        self.env = environment(
            **{
                "CARTOUCHE_HOME": str(self.folder / "home"),
                "CARTOUCHE_HTTP_PORT": str(self.http_port),
                "CARTOUCHE_GRPC_PORT": str(self.grpc_port),
                "CARTOUCHE_SERVER": f"127.0.0.1:{self.grpc_port}",
                # Tests that build the same archive again are about building.
                "CARTOUCHE_COPY_GENERATIONS": "0",
            }
            | dict(settings)
        )
        #: The command of its processes; that of another version makes them its processes.
        self.program = CARTOUCHE
        #: Every process by name: `run`, or `serve`, `gateway`, `worker-1`, `worker-2`, …
        self.processes: dict[str, CartoucheProcess] = {}
        #: Of each of them: where it serves its metrics and its health.
        self.metrics_ports: dict[str, int] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._http: dict[str, httpx.Client] = {}
        self._channel: grpc.Channel | None = None

    @property
    def base_url(self) -> str:
        """Where the gateway listens, without a path."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        """Where the gRPC server listens."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def endpoint(self) -> Endpoint:
        """The gRPC server, as the import knows it."""
        return Endpoint(self.grpc_address)

    @property
    def server(self) -> CartoucheProcess:
        """The gRPC server."""
        return self.processes["serve"]

    @property
    def gateway(self) -> CartoucheProcess:
        """The gateway."""
        return self.processes["gateway"]

    @property
    def workers(self) -> list[CartoucheProcess]:
        """Every worker, dead ones included, in the order of their start."""
        return [p for name, p in self.processes.items() if name.startswith("worker-")]

    def key(self, role: str = "owner", organization: str | None = None) -> str:
        """The API key of a role, made at the first call, as is a new organization."""
        owner = (organization or self.organization, role)
        if owner not in self._keys:
            words = ("keys", "create", "--organization", owner[0], "--role", role)
            self._keys[owner] = self.command(*words).stdout.strip()
        return self._keys[owner]

    def http(self, role: str = "owner", organization: str | None = None) -> httpx.Client:
        """An HTTP client of the gateway that sends the role's key; the stack closes it."""
        key = self.key(role, organization)
        if key not in self._http:
            self._http[key] = httpx.Client(
                base_url=self.base_url, headers={"X-API-Key": key}, timeout=30, trust_env=False
            )
        return self._http[key]

    @property
    def channel(self) -> grpc.Channel:
        """A channel to the gRPC server; the stack closes it."""
        if self._channel is None:
            self._channel = grpc.insecure_channel(
                self.grpc_address, options=[("grpc.enable_http_proxy", 0)]
            )
        return self._channel

    def metadata(
        self, role: str = "owner", organization: str | None = None
    ) -> tuple[tuple[str, str], ...]:
        """The metadata of a gRPC call with the role's key."""
        return (("x-api-key", self.key(role, organization)),)

    def command(
        self,
        *arguments: str,
        role: str | None = None,
        organization: str | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Runs `cartouche ARGUMENTS` in the stack's environment, with the role's key if given.

        Raises:
            AssertionError: `check`, and the command failed; the message has its output.
        """
        env = self.env | ({"CARTOUCHE_API_KEY": self.key(role, organization)} if role else {})
        done = subprocess.run(
            [str(self.program), *arguments],
            env=env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            words = " ".join(("cartouche", *arguments))
            raise AssertionError(
                f"`{words}` ended with {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done

    def spawn(self, name: str, *arguments: str) -> CartoucheProcess:
        """Starts `cartouche ARGUMENTS` under `name`; `wait_ready` waits for it."""
        port = self.metrics_ports.setdefault(name, free_port())
        env = {**self.env, "CARTOUCHE_METRICS_PORT": str(port), **self._environment_of(name)}
        process = CartoucheProcess(name, list(arguments), self.folder, env, self.program)
        self.processes[name] = process
        process.start()
        return process

    def look(self, name: str, path: str) -> httpx.Response:
        """What the process of that name answers on its metrics port."""
        url = f"http://127.0.0.1:{self.metrics_ports[name]}{path}"
        return httpx.get(url, timeout=10, trust_env=False)

    def add_worker(self) -> CartoucheProcess:
        """Starts one more worker and waits until it serves."""
        return self._spawn_worker().wait_ready()

    def log(self, limit: int = 4000) -> str:
        """The end of every process's log."""
        return "\n".join(process.log(limit) for process in self.processes.values())

    def close(self) -> None:
        """Ends every process in order, then removes the stack's folder.

        Raises:
            ProcessFailed: one did not end in time or left processes behind.
            AssertionError: one ended with an error.
        """
        if self in running_stacks:
            running_stacks.remove(self)
        for client in self._http.values():
            client.close()
        if self._channel is not None:
            self._channel.close()
        failures = []
        try:
            # Last started, first ended: workers, then the gateway, then the server.
            for process in reversed(self.processes.values()):
                if process.running and (code := process.stop()):
                    failures.append(f"{process.name} ended with {code}\n{process.log()}")
        finally:
            self._discard()
        assert not failures, "\n".join(failures)

    def __enter__(self) -> Self:
        running_stacks.append(self)
        try:
            self._start()
        except BaseException:
            running_stacks.remove(self)
            self._discard()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _discard(self) -> None:
        for process in self.processes.values():
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment_of(self, name: str) -> Mapping[str, str]:
        """What the process of that name gets beside, or instead of, what all of them get."""
        return {}

    def _spawn_worker(self) -> CartoucheProcess:
        return self.spawn(f"worker-{len(self.workers) + 1}", "worker")

    def _start(self) -> None:
        raise NotImplementedError


class Embedded(Stack):
    """`cartouche run`: SQLite, the in-process broker and rclone, in one process."""

    def __init__(self, name: str = "embedded", settings: Mapping[str, str] | None = None) -> None:
        super().__init__(name, "demo", settings or {})

    def _start(self) -> None:
        # The first start also draws and imports the demo dataset.
        self.spawn("run", "run").wait_ready(timeout=120)
        written = json.loads((Path(self.env["CARTOUCHE_HOME"]) / "keys.json").read_text())
        self._keys.update({(self.organization, role): key for role, key in written.items()})


class Production(Stack):
    """`cartouche serve`, `gateway` and workers, each its own process, on servers given by URL."""

    def __init__(
        self,
        database_url: str,
        broker_url: str,
        store: ObjectStore,
        *,
        name: str = "production",
        workers: int = 2,
        settings: Mapping[str, str] | None = None,
        program: Path = CARTOUCHE,
    ) -> None:
        suffix = secrets.token_hex(4)
        self.images_bucket = f"images-{suffix}"
        self.exports_bucket = f"exports-{suffix}"
        self.store = store
        signing = store.signing_user(self.exports_bucket)
        self._worker_count = workers
        super().__init__(
            name,
            "test",
            {
                "CARTOUCHE_DATABASE_URL": database_url,
                "CARTOUCHE_BROKER_URL": broker_url,
                "CARTOUCHE_S3_ENDPOINT": store.endpoint,
                "CARTOUCHE_S3_PUBLIC_ENDPOINT": store.endpoint,
                "CARTOUCHE_S3_REGION": REGION,
                "CARTOUCHE_S3_ACCESS_KEY": store.credentials.access_key,
                "CARTOUCHE_S3_SECRET_KEY": store.credentials.secret_key,
                "CARTOUCHE_S3_SIGNING_ACCESS_KEY": signing.access_key,
                "CARTOUCHE_S3_SIGNING_SECRET_KEY": signing.secret_key,
                "CARTOUCHE_S3_IMAGES_BUCKET": self.images_bucket,
                "CARTOUCHE_S3_EXPORTS_BUCKET": self.exports_bucket,
            }
            | dict(settings or {}),
        )
        self.program = program

    def _start(self) -> None:
        # The schema and the buckets.
        self.command("migrate")
        self.spawn("serve", "serve")
        self.spawn("gateway", "gateway")
        for _ in range(self._worker_count):
            self._spawn_worker()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.key, ROLES))
        for process in self.processes.values():
            process.wait_ready()
        # It listens before it has reached the server, and looks again at growing intervals.
        self.gateway.wait_until(self._gateway_reaches_the_server, 60)

    def _gateway_reaches_the_server(self) -> bool:
        return httpx.get(f"{self.base_url}/readyz", timeout=10, trust_env=False).is_success
