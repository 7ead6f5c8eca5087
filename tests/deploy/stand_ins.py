"""Images that stand in for those of a registry, on a machine that reaches none.

Each is made of Debian packages or of a wheel, under the name that the real one has, and takes
the real one's command and environment as far as `deploy/` uses them.
"""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.deploy.podman import DOCKERFILE, build, has_image, podman, run

#: Where the stand-in of the base lies: never under the name of the real one.
BASE = "localhost/stand-in/python:3.11-slim-bookworm"
_FOLDER = Path(__file__).parent / "stand_ins"


def base() -> str:
    """The base that the Dockerfile names, pulled, or its stand-in.

    Raises:
        ContainerError: neither can be had.
    """
    named = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)[0]
    if (
        has_image(named)
        or podman("pull", "--quiet", named, check=False, timeout=120).returncode == 0
    ):
        return str(named)
    if not has_image(BASE):
        _bootstrap()
    return BASE


def third_party(image: str) -> bool:
    """Sees to it that an image of others is here; tells whether it is a stand-in.

    Raises:
        ContainerError: it cannot be had.
    """
    label = "cartouche.stand-in"
    if has_image(image):
        said = podman("image", "inspect", "--format", f'{{{{index .Labels "{label}"}}}}', image)
        return said.stdout.strip() == "yes"
    if podman("pull", "--quiet", image, check=False, timeout=120).returncode == 0:
        return False
    folder = _FOLDER / image.rpartition("/")[2].partition(":")[0]
    build(base(), image, folder / "Dockerfile", folder)
    return True


def _bootstrap() -> None:
    """Debian with Python, as the base's own Debian: bookworm, from this machine's mirror."""
    with tempfile.TemporaryDirectory(prefix="cartouche-base-") as folder:
        run(
            "debootstrap",
            "--variant=minbase",
            "--include=python3,python3-venv,ca-certificates",
            "bookworm",
            folder,
            next(_mirrors()),
            timeout=500,
        )
        archive = subprocess.Popen(["tar", "c", "-C", folder, "."], stdout=subprocess.PIPE)
        with archive:
            subprocess.run(
                ["podman", "import", "--quiet", "-", BASE],
                stdin=archive.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )


def _mirrors() -> Iterator[str]:
    sources = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    for path in sources:
        text = path.read_text() if path.is_file() else ""
        yield from re.findall(
            r"^(?:URIs:|deb(?: \[.*\])?) (\S+/debian/?)(?: |$)", text, re.MULTILINE
        )
    raise FileNotFoundError("this machine's apt names no mirror of Debian")
