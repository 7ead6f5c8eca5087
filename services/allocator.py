"""How the C library keeps freed memory (glibc): what is freed in large pieces goes back at once.

By default each thread may get an arena of its own, and after the first large buffer was freed, the
next ones of that size come from these arenas, which shrink only at their end: a process with some
dozens of threads then keeps a multiple of what it uses.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Bytes from which on a buffer is mapped by itself. Smaller ones come and go too often for that.
_LARGE = 1024 * 1024
_ARENAS = 2


def settle() -> None:
    """Sets it up, where this is glibc; to be called before threads begin."""
    library = _glibc()
    if library is not None:
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_TRIM_THRESHOLD, _LARGE)
        library.mallopt(_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Gives back what is free."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
