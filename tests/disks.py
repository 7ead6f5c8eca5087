"""Small disks of their own, which can be filled; only root can make them."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests import binaries

#: What a write takes at once, from what fills a disk fast to what fills it wholly.
_WRITES = (1024 * 1024, 4096, 1)


class SmallDisk:
    """A disk in memory, mounted on a folder of its own."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        """Mounts it.

        Raises:
            OSError: this machine does not let us.
        """
        if reason := missing():
            raise OSError(reason)
        self.folder = folder
        self._filler = folder / "filler"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(f"no small disk can be mounted: {done.stderr.strip()}")

    def fill(self) -> None:
        """Takes every byte that is left."""
        with self._filler.open("ab", buffering=0) as out:
            with suppress(OSError):
                os.posix_fallocate(out.fileno(), 0, shutil.disk_usage(self.folder).free)
            out.seek(0, os.SEEK_END)
            for size in _WRITES:
                with suppress(OSError):
                    while True:
                        out.write(bytes(size))

    def empty(self) -> None:
        """Gives back what `fill` took."""
        self._filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmounts it, whoever uses it."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


def small_disk(folder: Path, megabytes: int) -> SmallDisk | None:
    """A small disk; None: this machine lets us have none."""
    try:
        return SmallDisk(folder, megabytes)
    except OSError:
        return None


def missing() -> str | None:
    """Why this machine can have no small disk, as far as that is known before; None: it may."""
    if not binaries.is_root():
        return "only root can mount a small disk"
    return None if shutil.which("mount") else "there is no mount"
