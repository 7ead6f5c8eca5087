"""`make images`: builds the image and shows, in containers, what it promises.

Where no registry is reached the base is a stand-in, made of Debian's own packages.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from tests.deploy import stand_ins
from tests.deploy.podman import IMAGE, ContainerError, build, ensure, podman

#: As Kubernetes runs it under the profile `restricted`, with a file system that is not written.
HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges", "--network", "none"),
)
#: Lists what an installation leaves behind.
_LEFTOVERS = (
    "find / -xdev \\( -name '*.whl' -o -path '*/.cache/*' -o -path '/var/lib/apt/lists/*_Packages' "
    "-o -path '/var/cache/apt/archives/*.deb' \\) 2>/dev/null; "
)
#: A database that never answers: every packet to it is lost.
_SILENT = "postgresql://cartouche@192.0.2.1/cartouche"


class Broken(Exception):
    """The image does not keep a promise; the message says which."""


def main() -> None:
    """Builds, checks, prints a line for each promise."""
    ensure()
    base = stand_ins.base()
    print(f"Building {IMAGE} on {base}", flush=True)
    began_at = time.monotonic()
    build(base, VERSION=version("cartouche"))
    print(f"built in {time.monotonic() - began_at:.0f} s, {_size(IMAGE) - _size(base)} MB more")
    failed = False
    for promise in PROMISES:
        try:
            promise()
        except (Broken, ContainerError) as error:
            failed = True
            print(f"WRONG  {promise.__doc__}\n       {error}", flush=True)
        else:
            print(f"ok     {promise.__doc__}", flush=True)
    sys.exit(failed)


def starts() -> None:
    """starts as it is run in Kubernetes: no root, no capability, nothing written"""
    said = podman("run", "--rm", *HARDENED, IMAGE, "--version").stdout
    _expect(said.startswith("cartouche "), said)


def is_nobody() -> None:
    """runs as a number that is not root"""
    user = podman("image", "inspect", "--format", "{{.Config.User}}", IMAGE).stdout.strip()
    _expect(user.replace(":", "").isdecimal() and not user.startswith("0"), user)
    _expect(_shell("id -u") == user.partition(":")[0], user)


def cannot_change_itself() -> None:
    """cannot write to its own program, even where its file system is not read-only"""
    _expect(_shell("touch /opt/cartouche/x /usr/bin/x 2>/dev/null || echo no") == "no", "written")


def has_no_tools() -> None:
    """brings no compiler, no package cache and no embedded store"""
    found = _shell(
        f"command -v gcc cc make git curl rclone; {_LEFTOVERS}"
        "ls /opt/cartouche/bin | grep -E '^(pip|uv$|rclone)'; true"
    )
    # Those of the base are not ours to judge.
    of_base = podman(
        *("run", "--rm", "--network", "none", "--entrypoint", "sh", stand_ins.base(), "-c"),
        _LEFTOVERS,
    ).stdout.split()
    ours = [line for line in found.splitlines() if line not in of_base]
    _expect(not ours, f"has {ours}")


def says_what_it_is() -> None:
    """says by labels what it is"""
    words = "{{range $name, $value := .Labels}}{{$name}}={{$value}}\n{{end}}"
    said = podman("image", "inspect", "--format", words, IMAGE).stdout
    labels = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    _expect(labels["org.opencontainers.image.title"] == "Cartouche", said)
    _expect(labels["org.opencontainers.image.version"] == version("cartouche"), said)


def ends_when_told() -> None:
    """ends in order when it is told to: with 0, and within seconds"""
    with _container("gateway", ready="ready") as name:
        began_at = time.monotonic()
        podman("stop", "--time", "20", name)
        _expect(time.monotonic() - began_at < 10, "it had to be killed")
        code = podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
        _expect(code == "0", f"it ended with {code}")


def ends_before_it_is_ready() -> None:
    """ends when it is told to before it listens to signals: PID 1 hands them on"""
    with _container("migrate", CARTOUCHE_DATABASE_URL=_SILENT) as name:
        began_at = time.monotonic()
        podman("stop", "--time", "20", name)
        _expect(time.monotonic() - began_at < 10, "it had to be killed")


def collects_orphans() -> None:
    """leaves no zombie: PID 1 collects processes whose parents have ended"""
    with _container("gateway", ready="ready") as name:
        podman("exec", name, "sh", "-c", "(sleep 0.3 &) ; (sleep 0.3 &)")
        time.sleep(1.0)
        states = podman("exec", name, "sh", "-c", "cat /proc/[0-9]*/stat").stdout.splitlines()
        zombies = [line for line in states if line.rpartition(")")[2].split()[0] == "Z"]
        _expect(not zombies, str(zombies))


def knows_that_it_is_unwell() -> None:
    """its health check tells the truth: a gateway without a server is unwell, but alive"""
    with _container("gateway", ready="ready") as name:
        _expect(podman("healthcheck", "run", name, check=False).returncode == 1, "it says ready")
        live = podman("exec", name, "cartouche", "health", "gateway", "--live", check=False)
        _expect(live.returncode == 0, live.stdout)


PROMISES: tuple[Callable[[], None], ...] = (
    starts,
    is_nobody,
    cannot_change_itself,
    has_no_tools,
    says_what_it_is,
    ends_when_told,
    ends_before_it_is_ready,
    collects_orphans,
    knows_that_it_is_unwell,
)


@contextmanager
def _container(*words: str, ready: str = "", **settings: str) -> Iterator[str]:
    """A hardened container, once it has printed the line `ready`; gone at the end of the block."""
    given = [word for item in settings.items() for word in ("--env", "=".join(item))]
    name = podman("run", "--detach", *HARDENED, *given, IMAGE, *words).stdout.strip()
    try:
        until = time.monotonic() + 60
        while ready and ready not in podman("logs", name).stdout.splitlines():
            _expect(time.monotonic() < until, podman("logs", name).stderr)
            time.sleep(0.2)
        yield name
    finally:
        podman("rm", "--force", "--time", "0", name, check=False)


def _shell(script: str) -> str:
    words = ("run", "--rm", "--network", "none", "--entrypoint", "sh", IMAGE, "-c", script)
    return podman(*words).stdout.strip()


def _size(image: str) -> int:
    """Megabytes of its layers."""
    return int(podman("image", "inspect", "--format", "{{.Size}}", image).stdout) // 1_000_000


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise or "nothing was said")


if __name__ == "__main__":
    main()
