"""The previous version of Cartouche, out of the project's history, in an environment of its own."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.binaries import cache_folder
from tests.conformance.environments import Environment

ROOT = Path(__file__).parent.parent
#: How `CHANGELOG.md` names the commit of a version, in the version's own section.
_NAMED = re.compile(r"^## (\d+\.\d+\.\d+)[^#]*?^Commit `([0-9a-f]{40})`", re.MULTILINE)


@dataclass(frozen=True)
class Version:
    """A released version, and the commit that it is."""

    number: str
    commit: str


def previous_version() -> Version:
    """The newest version of which the changelog names the commit."""
    found = _NAMED.search((ROOT / "CHANGELOG.md").read_text())
    assert found is not None, "CHANGELOG.md names no version with its commit"
    return Version(*found.groups())


def program_of(version: Version) -> Path:
    """The `cartouche` command of a version, installed at the first call.

    Skips the test where the history does not reach back so far.

    Raises:
        NotInstalled: a package cannot be had.
    """
    name = f"cartouche-{version.number}-{version.commit[:12]}"
    source = cache_folder().parent / "versions" / name
    if not source.exists():
        _check_out(version, source)
    return Environment(name, (str(source),)).program("cartouche")


def _check_out(version: Version, folder: Path) -> None:
    git = ["git", "-C", str(ROOT)]
    known = [*git, "cat-file", "-e", f"{version.commit}^{{commit}}"]
    if shutil.which("git") is None or subprocess.run(known, capture_output=True).returncode:
        pytest.skip(f"the history of this clone has no commit {version.commit}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        archive = Path(made) / "archive.tar"
        subprocess.run([*git, "archive", "--output", str(archive), version.commit], check=True)
        tree = Path(made) / "tree"
        tree.mkdir()
        subprocess.run(["tar", "-xf", str(archive), "-C", str(tree)], check=True)
        # Another run may have done the same meanwhile.
        if not folder.exists():
            tree.rename(folder)
