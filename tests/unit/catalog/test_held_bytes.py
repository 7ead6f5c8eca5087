"""One budget of memory for all streams of a server."""

import asyncio

import pytest

from services.catalog.held_bytes import HeldBytes


def test_it_is_given_out_in_the_order_in_which_it_was_asked_for() -> None:
    async def take_turns() -> list[str]:
        held, order = HeldBytes(10), list[str]()

        async def one(name: str, size: int) -> None:
            await held.take(size)
            order.append(name)

        await held.take(6)
        # The second would fit, but came after one that does not.
        asked = [asyncio.create_task(one(name, size)) for name, size in (("a", 5), ("b", 2))]
        await asyncio.sleep(0)
        assert order == []
        assert held.held == 6
        held.give_back(1)
        await asyncio.gather(*asked[:1])
        assert held.held == 10
        held.give_back(2)
        await asyncio.gather(*asked)
        assert held.held == 10
        return order

    assert asyncio.run(take_turns()) == ["a", "b"]


def test_who_is_alone_may_have_more_than_there_is() -> None:
    async def take_much() -> None:
        held = HeldBytes(10)
        await held.take(25)
        small = asyncio.create_task(held.take(0))
        await asyncio.sleep(0)
        assert not small.done()
        held.give_back(25)
        await small

    asyncio.run(take_much())


@pytest.mark.parametrize("is_served", [False, True])
def test_who_gives_up_keeps_nobody_waiting(is_served: bool) -> None:
    async def give_up() -> int:
        held = HeldBytes(10)
        await held.take(8)
        large, small = (asyncio.create_task(held.take(size)) for size in (9, 2))
        await asyncio.sleep(0)
        if is_served:
            # It has its turn, but has not run yet.
            held.give_back(8)
            large.cancel()
        else:
            large.cancel()
        await asyncio.gather(large, small, return_exceptions=True)
        assert small.done()
        assert not small.cancelled()
        return held.held

    assert asyncio.run(give_up()) == (2 if is_served else 10)
