"""The lines of YOLO label files, as words."""

import math
from collections.abc import Sequence

from services.formats.common.annotations import number_of
from services.formats.common.finder import SourceFile
from services.formats.common.source_files import text_of

#: Parts of a side: objects may reach over the edge, but not as far as pixels would.
FARTHEST = 2.0


def lines_of(file: SourceFile) -> list[list[str]]:
    """The words of each line.

    Raises:
        ImportFailed: the file cannot be read.
    """
    return split_lines(text_of(file, "is no label file: it is not text. Remove it."))


def split_lines(text: str) -> list[list[str]]:
    """The words of each line, between blanks, commas or semicolons."""
    return [_split(line) for line in text.splitlines()]


def _split(line: str) -> list[str]:
    words = line.split()
    for mark in ",;":
        parts = [part.strip() for part in line.split(mark)]
        # Not where commas stand within the numbers.
        if len(parts) > 4 and not any(" " in part or "\t" in part for part in parts):
            return parts
    return words


def is_row(words: Sequence[str]) -> bool:
    """Whether the words of a line are a class id and four numbers or more."""
    return len(words) > 4 and not any(math.isnan(number_of(word)) for word in words)
