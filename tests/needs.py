"""What a test needs from its machine: there, replaced, skipped with a reason, or a failure.

In CI (the environment says CI=true) as root, what apt or a Go that is there can provide is due:
its absence fails the test instead.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest

from tests import binaries
from tests.parts import MinIO, ObjectStore, Part, PgServerWheel, PostgreSQL, Rclone

P = TypeVar("P", bound=Part)

#: What takes the place of a part that a machine cannot have.
FALLBACKS: dict[type[Part], type[Part]] = {PostgreSQL: PgServerWheel, MinIO: Rclone}


def need_part(part: type[Part]) -> None:
    """Lets the test go on only where this machine can run `part`."""
    if reason := part.missing():
        _absent(part.program, f"{part.title}: {reason}")


def need_tool(name: str) -> str:
    """The path of a tool such as `unzip`."""
    path = binaries.find(name)
    if path is None:
        _absent(name, binaries.missing(name))
    return str(path)


def postgresql_class() -> type[PostgreSQL]:
    """The system's PostgreSQL, or the wheel's where there is none."""
    return PgServerWheel if _falls_back(PostgreSQL) else PostgreSQL


def object_store_class() -> type[ObjectStore]:
    """MinIO, or rclone's server where MinIO cannot be built."""
    return Rclone if _falls_back(MinIO) else MinIO


@contextmanager
def started(part: type[P]) -> Iterator[P]:
    """A server for a block of a program that is no test."""
    yield from running(part)


def _falls_back(part: type[Part]) -> bool:
    return part.missing() is not None and not _due(part.program)


def _due(program: str) -> bool:
    if os.environ.get("CI") != "true" or not binaries.is_root():
        return False
    return program not in binaries.GO_PROGRAMS or shutil.which("go") is not None


def _absent(program: str, reason: str) -> NoReturn:
    if _due(program):
        pytest.fail(f"{reason}. Install it with: make parts", pytrace=False)
    pytest.skip(reason)


def running(part: type[P]) -> Iterator[P]:
    """The life of a server as a fixture: started, handed out, and gone without a trace."""
    need_part(part)
    server = part()
    try:
        yield server.start()
    finally:
        server.remove()
