"""The independent readers, and the peers of the bench, each with its requirements in an environment
of its own.

They are heavy, and one is AGPL: no part of Cartouche imports them. An environment is made at
first use in `$XDG_CACHE_HOME/cartouche/readers/` and kept; other requirements make another.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

READERS = {
    # PyPI's torch for Linux brings CUDA's libraries along; the import needs them.
    "ultralytics": ("torch==2.13.0", "ultralytics-opencv-headless==8.4.190"),
    # They agree on what they need, and share an environment.
    "datumaro": ("datumaro==1.13.12", "supervision==0.31.2"),
    "darwin": ("darwin-py==3.6.3",),
    "labelme": ("labelme==6.3.1",),
    "sdk": ("pictograph==1.69.146",),
    # For the bench alone.
    "label_studio": ("label-studio-sdk==2.1.2",),
    "plots": ("matplotlib==3.11.2",),
}
_SCRIPTS = Path(__file__).parent / "readers"


class ReaderFailed(AssertionError):
    """A reader could not be installed, or ended with an error."""


def read(reader: str, script: str, *arguments: str | Path, scripts: Path = _SCRIPTS) -> Any:
    """Runs `<script>.py` of a folder with a reader's Python; returns what it writes as JSON.

    The script writes to the file that is its last argument: readers print what they like.

    Raises:
        ReaderFailed: the reader cannot be installed, or refuses the archive.
    """
    python = environment(reader)
    home = python.parents[1] / "home"
    home.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".json", dir=home)
    os.close(handle)
    answer = Path(name)
    done = subprocess.run(
        [python, "-W", "ignore", scripts / f"{script}.py", *arguments, answer],
        env=os.environ | settings_of(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    try:
        if done.returncode:
            raise ReaderFailed(f"{reader} ended with {done.returncode}\n{done.stdout[-4000:]}")
        return json.loads(answer.read_bytes())
    finally:
        answer.unlink()


def settings_of(home: Path) -> dict[str, str]:
    """Variables of readers that keep what they write in a folder, and ask nobody for anything."""
    return {
        "HOME": str(home),
        "MPLCONFIGDIR": str(home),
        "YOLO_CONFIG_DIR": str(home),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
    }


def environment(reader: str) -> Path:
    """The Python of a reader's environment, which is made where it is missing.

    Raises:
        ReaderFailed: it cannot be installed.
    """
    requirements = READERS[reader]
    version = ".".join(map(str, sys.version_info[:2]))
    mark = hashlib.sha256("\n".join((version, *requirements)).encode()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "cartouche" / "readers" / f"{reader}-{mark}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, ready = folder / "bin" / "python", folder / "ready"
    # One at a time: two test runs may want the same environment.
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            print(f"Installing {reader} for the oracles, once", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            _run(reader, [sys.executable, "-m", "venv", str(folder)])
            _run(reader, [str(python), "-m", "pip", "install", "--quiet", *requirements])
            ready.touch()
    return python


def _run(reader: str, command: list[str]) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise ReaderFailed(f"{reader} cannot be installed:\n{done.stdout[-4000:]}")
