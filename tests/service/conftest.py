"""Datasets that several files of tests share, one of each per stack."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from services.database.engine import Database
from services.database.migrate import migrate
from tests.datasets import SCENES, Picture, bbox, noise_jpeg, put_all, unique
from tests.parts import PostgreSQL
from tests.stack import Stack


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty record."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'record.db'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.create_database().replace("postgresql:", "postgresql+psycopg:", 1)
    opened = Database(url, 40)
    try:
        migrate(opened)
        yield opened
    finally:
        opened.close()


@pytest.fixture(scope="session")
def scenes(stack: Stack) -> str:
    """The name of a dataset of `SCENES`."""
    name = unique("scenes")
    put_all(stack, name, SCENES)
    return name


@dataclass(frozen=True)
class Large:
    """A dataset whose images do not fit into one segment of 16 MiB."""

    name: str
    image_count: int
    image_bytes: int


@cache
def large_on(stack: Stack) -> Large:
    """About 22 MB of noise, with text beside it."""
    name = unique("large")
    pictures = [
        Picture(f"{n:02}.jpg", noise_jpeg(n), [bbox("car", x=k) for k in range(50)])
        for n in range(24)
    ]
    put_all(stack, name, pictures)
    return Large(name, len(pictures), sum(len(picture.data) for picture in pictures))


@pytest.fixture(scope="session")
def large(stack: Stack) -> Large:
    """A large dataset on the stack."""
    return large_on(stack)
