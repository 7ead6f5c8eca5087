"""Unpacking an archive into a folder, and nowhere else."""

import os
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath

from services.errors import CartoucheError

#: What Windows takes for another place, or for a device.
_DRIVE = re.compile(r"[A-Za-z]:")


def unpack(archive: Path, folder: Path) -> int:
    """Writes every entry below a folder, which is made; how many files there were.

    Every name is looked at before the first byte is written. Files that exist are left alone.

    Raises:
        CartoucheError: an entry would lie outside of the folder, is no plain file or a folder, or
            is there already; or the archive is damaged.
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    root = folder.resolve()
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.filename.endswith("/")]
            targets = [_target(root, entry) for entry in entries]
            for entry, target in zip(entries, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                # A link may have been put there since the names were looked at.
                if not target.parent.resolve().is_relative_to(root):
                    raise _refused(entry.filename, "leads out of the folder")
                with opened.open(entry) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except zipfile.BadZipFile as error:
        raise CartoucheError(
            "ARCHIVE_DAMAGED", f"{archive} is damaged: {error}. Download it again."
        ) from None
    return len(entries)


def _target(root: Path, entry: zipfile.ZipInfo) -> Path:
    # zipfile takes os.sep of Windows for a slash there; `orig_filename` is as it is written.
    name = entry.orig_filename
    path = PurePosixPath(name)
    kind = entry.external_attr >> 16 & 0o170000
    if (
        path.is_absolute()
        or not path.parts
        or ".." in path.parts
        or "\\" in name
        or "\0" in name
        or _DRIVE.match(name)
    ):
        raise _refused(name, "does not lie in the folder")
    if kind not in (0, 0o100000):
        raise _refused(name, "is no plain file")
    target = root.joinpath(*path.parts)
    if not Path(os.path.realpath(target.parent)).is_relative_to(root):
        raise _refused(name, "leads out of the folder")
    if target.exists() or target.is_symlink():
        raise CartoucheError(
            "FILE_EXISTS", f"{target} is there already; unpack into an empty folder"
        )
    return target


def _refused(name: str, problem: str) -> CartoucheError:
    return CartoucheError("ENTRY_UNSAFE", f"the entry {name!r} {problem}; nothing was unpacked")
