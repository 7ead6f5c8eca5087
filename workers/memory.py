"""How much memory a process may use, and a limit for one of its own making (Linux)."""

import resource
import sys
from pathlib import Path

#: Share of the container that one step may take beside everything else in it.
_SHARE = 0.9
#: No process starts with less, unless that is more than there is.
_LEAST = 256 * 1024 * 1024
#: Limits of the container, by the version of control groups; "max" or a huge number: none.
_CONTAINER = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


#: Bytes that a worker has after its start, where they cannot be measured.
TYPICAL = 116 * 1024 * 1024


def resident() -> int | None:
    """Bytes of this process that are in memory. None: the system does not tell."""
    return _status("VmRSS")


def room_beside_us() -> int | None:
    """Bytes that another process of this container may use while this one goes on as it is.

    None: the system does not tell.
    """
    total = _total()
    used = resident()
    return None if total is None or used is None else beside(total, used)


def beside(total: int, used: int) -> int:
    """Bytes of a container that another process may use beside what is used: less than are left."""
    return max(min(_LEAST, total - used), int(total * _SHARE) - used)


def limit_to(size: int | None) -> None:
    """Lets this process have so many bytes of data: what would exceed them raises MemoryError."""
    if size is not None and sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        if most != resource.RLIM_INFINITY:
            size = min(size, most)
        resource.setrlimit(resource.RLIMIT_DATA, (size, most))


def _total() -> int | None:
    """Bytes of the container, or of the machine."""
    found = [_machine()]
    for path in _CONTAINER:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min((size for size in found if size is not None), default=None)


def _machine() -> int | None:
    return _kilobytes(Path("/proc/meminfo"), "MemTotal")


def _status(name: str) -> int | None:
    return _kilobytes(Path("/proc/self/status"), name)


def _kilobytes(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None
