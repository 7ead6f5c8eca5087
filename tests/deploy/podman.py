"""podman, which builds and runs the images where the tests run."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests import binaries, provision

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
#: The image that the tests build and run.
IMAGE = "localhost/cartouche:test"

#: What apt must bring, as root, where there is no podman.
_PACKAGES = ["podman", "buildah", "runc", "netavark", "aardvark-dns", "iptables", "debootstrap"]
#: Defaults that hold where the kernel forbids to raise limits, and where crun is not installed.
_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
"""


class ContainerError(Exception):
    """A call of podman failed; the message has its output."""


def ensure() -> None:
    """Sees to it that podman and debootstrap are here.

    Raises:
        ContainerError: they are not, and cannot be installed.
    """
    if not (shutil.which("podman") and shutil.which("debootstrap")):
        if not (binaries.is_root() and shutil.which("apt-get")):
            raise ContainerError("no podman and debootstrap, and no root to install them")
        provision.apt_install(_PACKAGES)


def podman(
    *words: str, check: bool = True, timeout: float = 300, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `podman WORDS`.

    Raises:
        ContainerError: `check`, and it failed, or did not end within `timeout` seconds.
    """
    return run("podman", *words, check=check, timeout=timeout, env=env)


def run(
    *words: str, check: bool = True, timeout: float = 300, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program that uses containers; as `podman`."""
    try:
        done = subprocess.run(
            words,
            env=os.environ | {"CONTAINERS_CONF": str(_settings())} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ContainerError(f"`{' '.join(words)}` did not end within {timeout:g} s") from None
    if check and done.returncode:
        raise ContainerError(
            f"`{' '.join(words)}` ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return done


def has_image(name: str) -> bool:
    """Whether the image is on this machine."""
    return podman("image", "exists", name, check=False).returncode == 0


def build(
    base: str,
    tag: str = IMAGE,
    dockerfile: Path = DOCKERFILE,
    context: Path = ROOT,
    **arguments: str,
) -> None:
    """Builds an image on `base`, with the network and the certificates of this machine, whose
    package registries may be reached in a way of its own.

    Raises:
        ContainerError: it cannot be built.
    """
    words = ["build", "--format", "docker", "--pull=never", "--network", "host"]
    certificates = Path("/etc/ssl/certs")
    # Debian's packages may write there.
    if certificates.is_dir() and "/pip " in dockerfile.read_text():
        words += ["--volume", f"{certificates}:{certificates}:ro"]
    for name, value in ({"BASE": base} | arguments).items():
        words += ["--build-arg", f"{name}={value}"]
    podman(*words, "--file", str(dockerfile), "--tag", tag, str(context), timeout=540)


def _settings() -> Path:
    path = Path(tempfile.gettempdir()) / f"cartouche-containers-{os.getuid()}.conf"
    if not path.exists() or path.read_text() != _SETTINGS:
        fresh = path.with_suffix(".new")
        fresh.write_text(_SETTINGS)
        fresh.replace(path)
    return path
