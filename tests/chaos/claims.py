"""The history of claims: nobody took, freed or ended what another one held."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Change:
    """One change of a step's row, as the record's trigger writes it down."""

    #: By the database's clock, seconds since 1970.
    at: float
    #: The process that made it.
    who: str
    export_id: str
    number: int
    kind: str
    was_held: bool
    held: bool
    was_attempt: int
    attempt: int
    #: While it was held, the end of the lease.
    was_due_at: float | None
    was_done: bool
    done: bool


#: In the order in which they were made, step by step.
QUERY = """
    SELECT at, who, export_id, number, kind, was_held, held, was_attempt, attempt, was_due_at,
        was_done, done
    FROM claim_history ORDER BY export_id, number, entry
"""


def overlaps(changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    """The ids of exports whose claims overlapped, and how; `changes` come as by `QUERY`."""
    for (export_id, number), of_step in groupby(changes, lambda c: (c.export_id, c.number)):
        for what in _faults(of_step):
            yield export_id, f"step {number}: {what}"


def _faults(changes: Iterable[Change]) -> Iterator[str]:
    holder, highest = "", 0
    for change in changes:
        is_claim = change.held and (not change.was_held or change.attempt > change.was_attempt)
        if is_claim:
            if holder or change.was_held:
                yield f"{change.who} took attempt {change.attempt} while {holder} held it"
            if change.attempt <= highest:
                yield f"{change.who} took it under attempt {change.attempt} after {highest}"
            holder = change.who
        elif change.was_held and not change.held:
            # An attempt number that was raised tells the holder that it is over.
            is_fenced = change.attempt > change.was_attempt
            ran_out = change.was_due_at is not None and change.was_due_at <= change.at
            if change.who != holder and not is_fenced and not ran_out:
                yield (
                    f"{change.who} freed attempt {change.attempt} of {holder}, whose lease had not "
                    "run out"
                )
            if change.done and not change.was_done and change.who != holder:
                yield f"{change.who} ended attempt {change.attempt}, which {holder} held"
            holder = ""
        elif change.done and not change.was_done:
            yield f"{change.who} ended attempt {change.attempt}, which nobody held"
        highest = max(highest, change.attempt)
