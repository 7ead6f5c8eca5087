"""Reads that are gathered: who comes while one is under way is read for by the next one."""

import asyncio
import random
import threading
from collections.abc import Iterator, Sequence

import pytest

from services.errors import Unavailable
from services.rpc.gathering import GatheredReads, Readers

THREADS = 2


class Shelf:
    """What is read from: reads wait until they may go on."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.reads: list[list[str]] = []
        self.may_read = threading.Event()
        self.fault: Exception | None = None

    def read(self, keys: Sequence[str]) -> dict[str, int]:
        """Those of `keys` that are there."""
        self.reads.append(sorted(keys))
        assert self.may_read.wait(10)
        if self.fault is not None:
            raise self.fault
        return {key: self.values[key] for key in keys if key in self.values}


@pytest.fixture
def readers() -> Iterator[Readers]:
    found = Readers(THREADS)
    yield found
    found.close()


async def _begin(count: int, shelf: Shelf) -> None:
    while len(shelf.reads) < count:
        await asyncio.sleep(0.001)


def test_who_comes_meanwhile_is_read_for_at_once(readers: Readers) -> None:
    shelf = Shelf()
    shelf.values = {f"{n}": n for n in range(100)}

    async def ask() -> list[int | None]:
        reads = GatheredReads(shelf.read, readers)
        asked = []
        for n in range(THREADS):
            asked.append(asyncio.create_task(reads.get(f"{n}")))
            await _begin(n + 1, shelf)
        asked += [asyncio.create_task(reads.get(f"{n % 102}")) for n in range(THREADS, 500)]
        await asyncio.sleep(0.01)
        shelf.may_read.set()
        return list(await asyncio.gather(*asked))

    expected = [n % 102 if n % 102 < 100 else None for n in range(500)]
    assert asyncio.run(ask()) == expected
    assert len(shelf.reads) == THREADS + 1
    assert len(shelf.reads[-1]) == 102


def test_no_read_begins_beside_one_that_is_quick(readers: Readers) -> None:
    shelf = Shelf()
    shelf.values = {f"{n}": n for n in range(9)}

    async def ask() -> list[int | None]:
        reads = GatheredReads(shelf.read, readers, patience=60)
        first = asyncio.create_task(reads.get("0"))
        await _begin(1, shelf)
        later = [asyncio.create_task(reads.get(f"{n}")) for n in range(1, 9)]
        await asyncio.sleep(0.01)
        assert len(shelf.reads) == 1
        shelf.may_read.set()
        found = list(await asyncio.gather(first, *later))
        # What looked whether the first one takes long keeps nobody waiting afterwards.
        async with asyncio.timeout(10):
            return [*found, await reads.get("0")]

    assert asyncio.run(ask()) == [*range(9), 0]
    assert [len(keys) for keys in shelf.reads] == [1, 8, 1]


def test_nobody_is_told_what_was_read_before_he_came(readers: Readers) -> None:
    shelf = Shelf()

    async def ask() -> tuple[int | None, int | None]:
        reads = GatheredReads(shelf.read, Readers(1))
        early = asyncio.create_task(reads.get("a"))
        await _begin(1, shelf)
        late = asyncio.create_task(reads.get("a"))
        await asyncio.sleep(0.01)
        # Seen by the first read too; what counts is that the second one reads for itself.
        shelf.values["a"] = 1
        shelf.may_read.set()
        return await early, await late

    assert asyncio.run(ask()) == (1, 1)
    assert shelf.reads == [["a"], ["a"]]


def test_a_read_that_fails_fails_those_who_wait_for_it(readers: Readers) -> None:
    shelf = Shelf()
    shelf.may_read.set()
    shelf.values = {"a": 1}
    shelf.fault = Unavailable("DATABASE_UNAVAILABLE", "away")

    async def ask() -> int | None:
        reads = GatheredReads(shelf.read, readers)
        failed = await asyncio.gather(*(reads.get(key) for key in "aabc"), return_exceptions=True)
        assert failed == [shelf.fault] * 4
        shelf.fault = None
        return await reads.get("a")

    assert asyncio.run(ask()) == 1


def test_one_that_gives_up_ends_no_other(readers: Readers) -> None:
    shelf = Shelf()
    shelf.values = {"a": 1}

    async def ask() -> int | None:
        reads = GatheredReads(shelf.read, readers)
        impatient = asyncio.create_task(reads.get("a"))
        patient = asyncio.create_task(reads.get("a"))
        await _begin(1, shelf)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        shelf.may_read.set()
        return await patient

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("seed", range(5))
def test_every_one_of_many_is_answered(readers: Readers, seed: int) -> None:
    """Whenever they come: none is left waiting between two reads."""
    shelf = Shelf()
    shelf.may_read.set()
    shelf.values = {f"{n}": n for n in range(30)}
    source = random.Random(seed)

    async def one(reads: GatheredReads[str, int]) -> None:
        for _ in range(50):
            n = source.randrange(40)
            assert await reads.get(f"{n}") == (n if n < 30 else None)
            if source.random() < 0.3:
                await asyncio.sleep(source.random() * 0.002)

    async def ask() -> None:
        reads = GatheredReads(shelf.read, readers)
        async with asyncio.timeout(30):
            await asyncio.gather(*(one(reads) for _ in range(20)))

    asyncio.run(ask())
    assert len(shelf.reads) <= 20 * 50
