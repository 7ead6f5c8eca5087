"""The folder CARTOUCHE_HOME, which one process at a time may use."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.settings import SettingsError


@contextmanager
def alone_in(home: Path) -> Iterator[None]:
    """Makes `home` where it is missing; nobody else may use it within the block.

    Raises:
        SettingsError: another process uses it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another Cartouche runs on {home}; stop it, or set CARTOUCHE_HOME to another "
                "folder"
            ) from None
        yield
