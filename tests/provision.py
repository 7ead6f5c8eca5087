"""`make parts`: installs the servers and tools that the tests use, where they are missing.

As root, apt installs them; Go builds MinIO and grpcurl once into a cache folder. What cannot
be had is named, and the tests fall back or say that they did not run.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.binaries import APT_PACKAGES, GO_PROGRAMS, GoProgram, find, is_root

#: Debian asks this script whether a freshly installed server may start; 101 says no.
POLICY = Path("/usr/sbin/policy-rc.d")


def main() -> None:
    """Installs what is missing, and never fails: the tests judge what is absent."""
    packages = sorted({package for command, package in APT_PACKAGES.items() if not find(command)})
    if packages and is_root() and shutil.which("apt-get"):
        print(f"Installing with apt: {' '.join(packages)}", flush=True)
        apt_install(packages)
    elif packages:
        print(f"Not installed (needs root and apt): {' '.join(packages)}", flush=True)
    for program in GO_PROGRAMS.values():
        if not program.path.exists():
            go_install(program)


def apt_install(packages: list[str]) -> None:
    """Installs Debian packages as root; says what failed, and raises nothing."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _servers_stay_down():
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "--quiet=2", *step],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"apt-get {step[0]} failed:\n{done.stdout}", flush=True)
                return


@contextmanager
def _servers_stay_down() -> Iterator[None]:
    """The tests start servers of their own; the installed ones are not to run beside them."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def go_install(program: GoProgram) -> None:
    """Builds a program with Go into the cache folder; says what failed, and raises nothing."""
    if not shutil.which("go"):
        print(f"Not built (needs Go): {program.name} {program.version}", flush=True)
        return
    print(f"Building {program.name} {program.version} with Go, once", flush=True)
    program.path.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place, then renamed: an interrupted build leaves nothing half-made.
    with tempfile.TemporaryDirectory(dir=program.path.parent) as folder:
        done = subprocess.run(
            ["go", "install", f"{program.package}@{program.version}"],
            env=os.environ | {"GOBIN": folder, "CGO_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"go install {program.package} failed:\n{done.stdout}", flush=True)
            return
        (Path(folder) / program.built_name).replace(program.path)


if __name__ == "__main__":
    main()
