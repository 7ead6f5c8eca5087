"""How many files, and so connections, this process may open."""

import resource
from contextlib import suppress

_WANTED = 65_536


def raise_file_limit() -> None:
    """Lets this process open as many files as its user may, up to some ten thousand: shells give
    1,024, which as many clients that say nothing would take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems say that there is no limit, and have one.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
