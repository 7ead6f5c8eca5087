"""Published clients, each installed from PyPI into an environment of its own.

The environments lie in the cache folder and serve again in later runs, of other clones too.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.binaries import cache_folder

_UV = Path(sys.executable).parent / "uv"


class NotInstalled(Exception):
    """A client could not be installed; the message has the installer's words."""


@dataclass(frozen=True)
class Environment:
    """What a client needs, under the name of its folder."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where it lies; the client's own files are not to be changed."""
        return cache_folder().parent / "clients" / self.name

    def program(self, name: str = "python") -> Path:
        """A program of the environment, which is made at the first call.

        Raises:
            NotInstalled: a package cannot be had.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        marker = self.folder / "installed"
        content = "\n".join((sys.version, *self.requirements))
        with self._lock():
            if not marker.exists() or marker.read_text() != content:
                shutil.rmtree(self.folder, ignore_errors=True)
                _uv("venv", "--python", sys.executable, str(self.folder))
                python = str(self.folder / "bin" / "python")
                _uv("pip", "install", "--python", python, *self.requirements)
                marker.write_text(content)
        return self.folder / "bin" / name

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Two runs at once do not make the same environment."""
        with self.folder.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [_UV, "--quiet", *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise NotInstalled(f"uv {arguments[0]} failed: {done.stderr.strip()}")


def sdk(version: str) -> Environment:
    """The official SDK."""
    return Environment(version, (f"pictograph=={version}",))


def cli(version: str) -> Environment:
    """The official command line; it does not start with typer 0.29."""
    return Environment(f"cli-{version}", (f"pictograph[cli]=={version}", "typer<0.29"))


#: The property-based tester of OpenAPI documents.
SCHEMATHESIS = Environment("schemathesis-4.32.5", ("schemathesis==4.32.5",))
#: What the page's Python examples import beside the SDK.
REQUESTS = Environment("requests", ("requests",))
