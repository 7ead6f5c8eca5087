"""Where the servers and tools that the tests start lie on this machine, and which are missing."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Debian keeps servers outside an ordinary user's PATH.
SERVER_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")

#: What apt provides: the command that shows a package is there → the package.
APT_PACKAGES = {
    "initdb": "postgresql",
    "rabbitmq-server": "rabbitmq-server",
    "redis-server": "redis-server",
    "unzip": "unzip",
    "7z": "p7zip-full",
    "bsdtar": "libarchive-tools",
    "curl": "curl",
    "jq": "jq",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "chromium": "chromium",
}


@dataclass(frozen=True)
class GoProgram:
    """A program that is built with Go once and kept in the cache folder."""

    name: str
    package: str
    version: str

    @property
    def built_name(self) -> str:
        """What Go calls it: the last folder of its package."""
        return self.package.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where the built program lies; the version is part of the name."""
        return cache_folder() / f"{self.name}-{self.version}"


GO_PROGRAMS = {
    program.name: program
    for program in (
        GoProgram("minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"),
        GoProgram("grpcurl", "github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4"),
        GoProgram("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"),
        GoProgram("ghz", "github.com/bojand/ghz/cmd/ghz", "v0.93.0"),
        GoProgram("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server", "v2.5.0"),
    )
}


def cache_folder() -> Path:
    """The folder that keeps what was built, across clones of the project."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cartouche" / "bin"


def find(command: str) -> Path | None:
    """The program `command`, or None where this machine has none."""
    if command in GO_PROGRAMS:
        path = GO_PROGRAMS[command].path
        return path if path.exists() else None
    found = shutil.which(command, path=os.pathsep.join(_folders()))
    return Path(found) if found else None


def missing(command: str) -> str:
    """Why `command` is not here, in words for the header of a test run."""
    if command in GO_PROGRAMS:
        return f"{command} is not built" if shutil.which("go") else f"no Go to build {command}"
    if is_root() and shutil.which("apt-get"):
        return f"{APT_PACKAGES.get(command, command)} is not installed"
    return f"no {command}, and no root to install {APT_PACKAGES.get(command, command)}"


def is_root() -> bool:
    """Whether the tests run as root."""
    return os.geteuid() == 0


def _folders() -> Iterator[str]:
    # /usr/lib first: Debian's own wrappers of PostgreSQL and RabbitMQ in /usr/sbin and /usr/bin
    # insist on the system's accounts and folders.
    yield "/usr/lib/rabbitmq/bin"
    postgresql = Path("/usr/lib/postgresql").glob("*/bin")
    yield from (str(folder) for folder in sorted(postgresql, key=_release, reverse=True))
    yield from os.environ.get("PATH", "").split(os.pathsep)
    yield from SERVER_FOLDERS


def _release(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))
