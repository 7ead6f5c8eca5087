"""`make compose-demo`: starts deploy/compose.yaml in containers, and downloads an export from it.

podman has no timers for health checks without systemd, and waits for no condition: here the
services are started one by one, each once those that it depends on are as it asks, and the checks
of health are run from outside.
"""

import argparse
import io
import os
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.deploy import stand_ins
from tests.deploy.podman import IMAGE, ROOT, ContainerError, build, ensure, podman, run
from tests.processes import free_port

COMPOSE = ROOT / "deploy" / "compose.yaml"
#: The program that reads the file where there is no Docker.
PODMAN_COMPOSE = ("uvx", "--quiet", "podman-compose==1.6.0")
BROKERS = {
    "rabbitmq": "amqp://cartouche:cartouche@rabbitmq:5672/%2F",
    "redis": "redis://redis:6379/0",
}
#: Seconds that a service may take until it is as others ask.
_PATIENCE = 120.0


def main() -> None:
    """Starts, exports, downloads, checks, and removes everything again."""
    arguments = argparse.ArgumentParser(prog="python -m tests.deploy.compose_demo")
    arguments.add_argument("--broker", choices=sorted(BROKERS), default="rabbitmq")
    broker = arguments.parse_args().broker
    ensure()
    base = stand_ins.base()
    build(base)
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    with _project(broker) as project:
        for name in project.order(services):
            image = services[name]["image"]
            if not image.startswith("$"):
                stand_in = stand_ins.third_party(image)
                print(f"{image}{': a stand-in' if stand_in else ''}", flush=True)
        for name in project.order(services):
            began_at = time.monotonic()
            project.start(name, services[name])
            print(f"{name}: as asked after {time.monotonic() - began_at:.1f} s", flush=True)
        link = project.compose("run", "--rm", "-T", "--no-deps", "demo").stdout.split()[-1]
        with urllib.request.urlopen(link, timeout=60) as answer:
            content = answer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        images = [name for name in archive.namelist() if name.startswith("images/")]
    print(f"downloaded {len(content):,} bytes: {len(images)} images")
    assert images, archive.namelist()


class Project:
    """A run of deploy/compose.yaml under a name and on ports of its own."""

    def __init__(self, broker: str) -> None:
        self._name = f"cartouche-{os.getpid()}"
        self._mine = f"label=com.docker.compose.project={self._name}"
        self._broker = broker
        self._env = {
            "CARTOUCHE_IMAGE": IMAGE,
            "CARTOUCHE_BROKER_URL": BROKERS[broker],
            "COMPOSE_PROFILES": broker,
            **{f"CARTOUCHE_{port}_PORT": str(free_port()) for port in ("HTTP", "GRPC", "S3")},
            "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}",
        }

    def compose(self, *words: str, check: bool = True) -> Any:
        """Runs `compose WORDS` of this project."""
        given = (
            "-p",
            self._name,
            "-f",
            str(COMPOSE),
            "--profile",
            self._broker,
            "--profile",
            "demo",
        )
        return run(*PODMAN_COMPOSE, *given, *words, check=check, env=self._env)

    def order(self, services: dict[str, Any]) -> list[str]:
        """The services of this run, each after those that it depends on."""
        found: list[str] = []

        def visit(name: str) -> None:
            for other in services[name].get("depends_on", ()):
                if self._is_on(services[other]):
                    visit(other)
            if name not in found:
                found.append(name)

        for name, service in services.items():
            if self._is_on(service):
                visit(name)
        return found

    def start(self, name: str, service: dict[str, Any]) -> None:
        """Starts a service, and returns when it is healthy or, once it ends, has ended well.

        Raises:
            ContainerError: it is not in time.
        """
        wanted = service.get("deploy", {}).get("replicas", 1)
        scale = ("--scale", f"{name}={wanted}") if wanted > 1 else ()
        self.compose("up", "--detach", "--no-deps", "--no-build", *scale, name)
        words = ("--filter", f"label=com.docker.compose.service={name}")
        containers = podman("ps", "--all", "--quiet", "--filter", self._mine, *words).stdout.split()
        if len(containers) != wanted:
            raise ContainerError(f"{name}: {len(containers)} containers, not {wanted}")
        ends = service.get("healthcheck", {}).get("disable", False)
        for container in containers:
            if ends:
                code = podman("wait", container).stdout.strip()
                if code != "0":
                    raise ContainerError(f"{name} ended with {code}\n{self.log(container)}")
            else:
                self._until_healthy(name, container)

    def remove(self) -> None:
        """Ends every container, and removes what the project made."""
        # `down` knows nothing of further replicas.
        if left := podman("ps", "--all", "--quiet", "--filter", self._mine).stdout.split():
            podman("rm", "--force", "--time", "20", *left, check=False)
        self.compose("down", "--volumes", "--timeout", "20", check=False)

    def _until_healthy(self, name: str, container: str) -> None:
        until = time.monotonic() + _PATIENCE
        while podman("healthcheck", "run", container, check=False).returncode:
            state = podman("inspect", "--format", "{{.State.Running}}", container).stdout.strip()
            if state != "true" or time.monotonic() > until:
                raise ContainerError(f"{name} is not healthy\n{self.log(container)}")
            time.sleep(0.5)

    @staticmethod
    def log(container: str) -> str:
        """The end of a container's log."""
        done = podman("logs", "--tail", "40", container, check=False)
        return done.stdout + done.stderr

    def _is_on(self, service: dict[str, Any]) -> bool:
        profiles = service.get("profiles", [self._broker])
        return self._broker in profiles


@contextmanager
def _project(broker: str) -> Iterator[Project]:
    project = Project(broker)
    try:
        yield project
    finally:
        project.remove()


if __name__ == "__main__":
    main()
