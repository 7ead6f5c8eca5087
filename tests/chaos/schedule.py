"""What a run does, from a seed: which faults in which order on whom, and which exports.

The same seed gives the same schedule. It does not give the same interleaving: what a fault meets
depends on what the machine does at that moment.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Times that each kind comes at least, where there are faults enough.
LEAST = 10
WORKERS = 3
#: Seconds between the faults of one place: those of several places overlap.
_PAUSE = (0.2, 1.5)
#: For each fault so many exports are drawn: of those that are asked for, some are always under
#: way, and so the last ones may not be.
EXPORTS_PER_FAULT = 2


@dataclass(frozen=True)
class Fault:
    """One fault to come."""

    number: int
    #: One of `kinds.KINDS`, by name.
    kind: str
    #: Whom it strikes: a process or a part. The faults of one place come one after the other.
    place: str
    #: Seconds before it, since the one before has passed.
    pause: float
    #: Its details follow from this.
    seed: str

    @property
    def chance(self) -> random.Random:
        """The source of its details."""
        return random.Random(self.seed)


@dataclass(frozen=True)
class Variant:
    """What an export is of; equal ones give the same archive."""

    dataset: str
    format: str
    include_images: bool = False
    status_filter: str = ""


@dataclass(frozen=True)
class Order:
    """One export to ask for."""

    number: int
    variant: Variant
    #: Asked for over REST, through the gateway; otherwise over gRPC.
    over_rest: bool

    @property
    def name(self) -> str:
        """Its name, and its idempotency key."""
        return f"order-{self.number}"


@dataclass
class Schedule:
    """A whole run."""

    seed: int
    #: By place.
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    #: Asked for in this order, as long as there are faults to come.
    orders: list[Order] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many faults."""
        return sum(map(len, self.faults.values()))


def schedule(
    seed: int, count: int, kinds: Mapping[str, str], weights: Mapping[Variant, int]
) -> Schedule:
    """The run of a seed.

    Args:
        seed: of everything.
        count: of the faults.
        kinds: of the faults, each with the place that it strikes; `worker` is one of them.
        weights: what exports are of, and how often.
    """
    chance = random.Random(seed)
    made = Schedule(seed)
    for number, kind in enumerate(_drawn(chance, count, list(kinds))):
        place = kinds[kind]
        if place == "worker":
            place = f"worker-{chance.randint(1, WORKERS)}"
        fault = Fault(number, kind, place, chance.uniform(*_PAUSE), f"{seed}/{number}")
        made.faults.setdefault(place, []).append(fault)
    variants = chance.choices(list(weights), list(weights.values()), k=EXPORTS_PER_FAULT * count)
    made.orders = [
        Order(number, variant, chance.random() < 0.5) for number, variant in enumerate(variants)
    ]
    return made


def _drawn(chance: random.Random, count: int, kinds: Sequence[str]) -> list[str]:
    """So many kinds, each about as often as it can be `LEAST` times, in any order."""
    each = min(LEAST, count // len(kinds))
    left = count - each * len(kinds)
    more = chance.sample(kinds, left) if left <= len(kinds) else chance.choices(kinds, k=left)
    drawn = [*kinds] * each + more
    chance.shuffle(drawn)
    return drawn
