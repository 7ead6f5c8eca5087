"""Bytes of a picture file, read where they are needed and never past their end."""

import struct
from dataclasses import dataclass
from typing import IO, Any


class Unreadable(Exception):
    """Why a file is no picture with a size; the message goes on after the file's name."""


class BreaksOff(Unreadable):
    """The file ends before the picture does."""

    def __init__(self, where: str) -> None:
        super().__init__(f"breaks off {where}")


class Damaged(BreaksOff):
    """All of it is there, but not as it was written."""

    def __init__(self, where: str) -> None:
        Unreadable.__init__(self, f"is damaged {where}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a header says."""

    width: int
    height: int
    #: As in EXIF, 1 to 8; 5 to 8 turn the picture by a quarter.
    orientation: int = 1

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height in pixels, once it is turned upright."""
        if self.orientation in (5, 6, 7, 8):
            return self.height, self.width
        return self.width, self.height


class Source:
    """A seekable file, from its first byte."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        file.seek(0)

    @property
    def place(self) -> int:
        """Where the next byte is taken."""
        return self._file.tell()

    def go(self, place: int) -> None:
        """Goes to a place, or to the end where it lies beyond: no number of a file moves far."""
        self._file.seek(min(place, self.size))

    def at(self, place: int, count: int) -> bytes:
        """The bytes at a place, at most so many."""
        self._file.seek(place if place < self.size else self.size)
        return self._file.read(count)

    def some(self, count: int) -> bytes:
        """The next bytes, at most so many."""
        return self._file.read(count)

    def take(self, count: int, where: str = "inside its header") -> bytes:
        """The next bytes.

        Raises:
            BreaksOff: there are fewer; the message says where.
        """
        data = self._file.read(count)
        if len(data) < count:
            raise BreaksOff(where)
        return data

    def unpack(self, format: str, where: str = "inside its header") -> tuple[Any, ...]:
        """The next numbers, as `struct` packs them.

        Raises:
            BreaksOff: there are fewer bytes.
        """
        return struct.unpack(format, self.take(struct.calcsize(format), where))
