"""The `cartouche` command: the composition root, which puts the parts of a process together.

Commands import what they run, and only when they run it: help needs none of it, and each
process loads its own part alone. Nothing else imports the gateway or the workers.
"""

import os
import signal
import sys


def main() -> None:
    """Entry of the `cartouche` command: errors in one line, without a traceback."""
    # Ctrl-C before there is anything to end is no error.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # What gRPC writes to standard error, a line for each handshake that fails, is no log of ours.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from services.cli.app import app

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except Exception as error:
        line = _line(error)
        if line is None:
            raise
        print(f"cartouche: {line}", file=sys.stderr)
        sys.exit(1)


def _line(error: Exception) -> str | None:
    """What a known error says to people; None: it is a bug of ours."""
    from services.errors import CartoucheError
    from services.settings import SettingsError
    from services.storage import StorageError
    from services.storage.embedded import EmbeddedStoreError

    if isinstance(error, CartoucheError | SettingsError | StorageError | EmbeddedStoreError):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return None
