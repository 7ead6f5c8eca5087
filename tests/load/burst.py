"""Many creates at the same moment: each is answered, and each that is accepted exists."""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.load.http import Answer, Call, call_at_once
from tests.load.tenants import Tenant
from tests.stack import Stack

EXPORTS = "/api/v1/developer/exports"
CREATES = 1_000


@dataclass(frozen=True)
class Burst:
    """The answers to creates that were sent at once."""

    answers: list[Answer]

    @property
    def statuses(self) -> dict[int, int]:
        """How many answers had each status; 0: none came."""
        return dict(sorted(Counter(answer.status for answer in self.answers).items()))

    @property
    def seconds(self) -> float:
        """Of the last answer."""
        return max(answer.seconds for answer in self.answers)

    @property
    def median(self) -> float:
        """Seconds of half of the answers."""
        return statistics.median(answer.seconds for answer in self.answers)

    def unanswered(self) -> list[Answer]:
        """Those that neither accept nor say why not yet, and when to come again."""
        return [
            answer
            for answer in self.answers
            if answer.status != 201
            and not (answer.status == 429 and "retry-after" in answer.headers)
        ]


def create_at_once(
    stack: Stack, tenants: Sequence[Tenant], count: int = CREATES, word: str = "burst"
) -> Burst:
    """`count` creates from all tenants in turns, on as many connections."""
    calls = [
        Call(
            "POST",
            f"{EXPORTS}/",
            tenant.key,
            {"dataset_name": tenant.dataset, "name": f"{word}-{number}", "format": "coco"},
        )
        for number, tenant in zip(range(count), _turns(tenants), strict=False)
    ]
    return Burst(call_at_once(stack.http_port, calls))


def _turns(tenants: Sequence[Tenant]) -> Iterator[Tenant]:
    while True:
        yield from tenants
