"""Text for XML 1.0, whose writers put their documents together as strings."""

import re
from functools import lru_cache

#: What no XML 1.0 document may hold, not even escaped (section 2.2, Char).
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Markup, and what readers turn into blanks or line feeds unless it is a reference (sections
#: 2.4, 2.11, 3.3.3).
_REFERENCES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\t": "&#9;",
        "\n": "&#10;",
        "\r": "&#13;",
    }
)


@lru_cache(maxsize=1024)
def legal(text: str) -> str:
    """`text` without the characters that XML cannot hold."""
    return _ILLEGAL.sub("", text)


@lru_cache(maxsize=1024)
def quoted(text: str) -> str:
    """Text for an element or a double-quoted attribute, on one line, read back as it is."""
    return legal(text).translate(_REFERENCES)
