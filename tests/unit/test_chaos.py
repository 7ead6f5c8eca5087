"""The arithmetic of `make faults`: the schedule of a seed, and who may do what to a claim."""

import pytest

from tests.chaos.claims import Change, overlaps
from tests.chaos.schedule import LEAST, Variant, schedule

KINDS = {f"kind {n}": ("worker", "serve", "store")[n % 3] for n in range(36)}
WEIGHTS = {Variant("small", "coco"): 1, Variant("images", "yolo", True): 2}


def test_a_seed_gives_its_schedule_again() -> None:
    first, again, other = (schedule(seed, 500, KINDS, WEIGHTS) for seed in (1, 1, 2))
    assert first == again
    assert first.faults != other.faults
    assert first.orders != other.orders


def test_every_kind_comes_often_enough() -> None:
    for seed in range(20):
        faults = [f for lane in schedule(seed, 500, KINDS, WEIGHTS).faults.values() for f in lane]
        assert len(faults) == 500
        assert all(sum(f.kind == kind for f in faults) >= LEAST for kind in KINDS)
        assert {f.place for f in faults} == {"worker-1", "worker-2", "worker-3", "serve", "store"}


def test_a_short_run_has_every_kind_once() -> None:
    faults = [f for lane in schedule(3, 36, KINDS, WEIGHTS).faults.values() for f in lane]
    assert sorted(f.kind for f in faults) == sorted(KINDS)


def change(
    who: str,
    held: tuple[bool, bool],
    attempt: tuple[int, int],
    done: tuple[bool, bool] = (False, False),
    at: float = 5.0,
) -> Change:
    """A change of one step, whose leases end at 10."""
    return Change(at, who, "x", 1, "segment", *held, *attempt, 10.0, *done)


CLAIM, FREED, NOT_DONE, ENDED = (False, True), (True, False), (False, False), (False, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([change("a", CLAIM, (0, 1)), change("a", FREED, (1, 1), ENDED)], ""),
        (
            # Given back, then taken by another one.
            [
                change("a", CLAIM, (0, 1)),
                change("a", FREED, (1, 1)),
                change("b", CLAIM, (1, 2)),
                change("b", FREED, (2, 2), ENDED),
            ],
            "",
        ),
        ([change("a", CLAIM, (0, 1)), change("b", FREED, (1, 1), at=11.0)], ""),
        # Its attempt number says that it is over.
        ([change("a", CLAIM, (0, 1)), change("b", FREED, (1, 2))], ""),
        ([change("a", CLAIM, (0, 1)), change("b", FREED, (1, 1))], "had not run out"),
        ([change("a", CLAIM, (0, 1)), change("b", (True, True), (1, 2))], "while a held it"),
        ([change("a", CLAIM, (0, 1)), change("b", CLAIM, (1, 2))], "while a held it"),
        (
            [
                change("a", CLAIM, (0, 1)),
                change("a", FREED, (1, 1)),
                change("b", CLAIM, (1, 1)),
            ],
            "under attempt 1 after 1",
        ),
        ([change("a", CLAIM, (0, 1)), change("b", FREED, (1, 1), ENDED, 11.0)], "which a held"),
        ([change("a", NOT_DONE, (1, 1), ENDED)], "which nobody held"),
    ],
)
def test_who_may_do_what_to_a_claim(changes: list[Change], said: str) -> None:
    found = [text for _, text in overlaps(changes)]
    assert bool(found) == bool(said)
    if said:
        assert said in " ".join(found)
