"""Which lanes a worker's threads take."""

from contextlib import ExitStack

from services.exports.model import Lane
from workers.actors import Slots


def taken(slots: Slots, times: int) -> list[tuple[Lane, ...]]:
    """What so many threads at once may take."""
    with ExitStack() as stack:
        return [stack.enter_context(slots.take()) for _ in range(times)]


def test_one_thread_of_several_is_for_short_steps_alone() -> None:
    both = (Lane.short, Lane.long)
    assert taken(Slots(3), 4) == [both, both, (Lane.short,), ()]
    assert taken(Slots(1), 2) == [both, ()]


def test_a_worker_of_one_lane_has_all_threads_for_it() -> None:
    for lane in Lane:
        assert taken(Slots(3, (lane,)), 4) == [(lane,)] * 3 + [()]
