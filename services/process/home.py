"""The folder CARTOUCHE_HOME, which one process at a time may use."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.settings import SettingsError


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Makes `home` where it is missing, for its owner's eyes alone: it holds key hashes and every
    tenant's annotations. Nobody else may use it within the block.

    Raises:
        SettingsError: another process uses it.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):
        # One of an earlier version, or of another owner, who then decides.
        home.chmod(0o700)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another Cartouche runs on {home}; stop it, or set CARTOUCHE_HOME to another "
                "folder"
            ) from None
        yield
