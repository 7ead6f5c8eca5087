"""Texts of callers: what they may hold, and how an error repeats them."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice

#: Characters of a value that an error repeats.
_ECHO = 60
#: Names that an error lists.
_MOST_NAMES = 20
#: Names that are looked through for those that are near: each takes some microseconds.
_MOST_COMPARED = 2_000
#: Control characters: C0 but the tab, which does no harm in files of lines, DEL, and C1.
_CONTROL = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f]")


def control_error(text: str) -> str | None:
    """What is wrong with a text that has control characters; None: it has none, tabs aside.

    PostgreSQL stores no NUL, and a line break in a name breaks every list that has a line for
    each.
    """
    found = _CONTROL.search(text)
    if found is None:
        return None
    if found[0] == "\0":
        return "has the character NUL, which cannot be stored; leave it out"
    return f"has the control character U+{ord(found[0]):04X}; leave it out"


def printable(text: str) -> str:
    """A text as a terminal may have it: what does not print, or turns the direction of writing, is
    escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quoted(value: str) -> str:
    """A value of the caller's as an error repeats it: what is long, by its beginning."""
    return repr(value if len(value) <= _ECHO else f"{value[:_ECHO]}…")


def listed(values: Iterable[str], count: int, most: int = _MOST_NAMES) -> str:
    """The first of `count` values, and how many more there are."""
    shown = ", ".join(map(quoted, islice(values, most)))
    return f"{shown} and {count - most:,} more" if count > most else shown


def nearest(wanted: Iterable[str], known: Sequence[str]) -> list[str]:
    """What is known, those that one may have meant by what is wanted first, each once."""
    compared = known[:_MOST_COMPARED]
    by_lower = {name.lower(): name for name in reversed(compared)}
    near = [
        by_lower[match]
        for name in islice(wanted, 3)
        for match in get_close_matches(name[:_ECHO].lower(), by_lower, n=5)
    ]
    return list(dict.fromkeys([*near, *known]))
