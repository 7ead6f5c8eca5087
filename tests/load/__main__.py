"""`make soak`: a burst, reading while archives are built, and minutes of constant work, as figures.

Ends with 0 where every create was answered and nothing has grown.
"""

import argparse
import resource
import sys

from tests.bench.drawing import machine
from tests.fuzz.ports import STACKS
from tests.load.burst import create_at_once
from tests.load.pressure import measure_gets, while_building
from tests.load.soak import soak
from tests.load.tenants import tenants
from tests.stack import Stack

#: Tenants that create at once, and that work in the soak.
_TENANTS, _CLIENTS = 10, 4


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="of constant work; 0: none")
    parser.add_argument("--creates", type=int, default=1_000, help="at once; 0: none")
    parser.add_argument("--gets", type=float, default=20, help="seconds of GETs; 0: none")
    parser.add_argument("--on", nargs="*", choices=[*STACKS], default=["postgresql"])
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    print(machine(), flush=True)
    is_well = True
    for name in given.on:
        with STACKS[name]() as stack:
            print(f"\n{stack.name}", flush=True)
            is_well &= _load(stack, given.creates, given.gets)
            if given.minutes:
                is_well &= _soak(stack, 60 * given.minutes)
    return not is_well


def _load(stack: Stack, creates: int, gets: float) -> bool:
    ten = tenants(stack, _TENANTS)
    create_at_once(stack, ten, 2 * _TENANTS, "first")
    is_well = True
    if gets:
        idle = measure_gets(stack, ten[0], "first-0", gets)
        busy, built = while_building(
            stack, ten[1], 40, lambda: measure_gets(stack, ten[0], "first-0", gets)
        )
        print(f"GET, idle: {idle}")
        print(f"GET, {built} archives of 36 MB being built: {busy}")
        print(f"p99 while building / idle: {busy.p99 / idle.p99:.1f}", flush=True)
    if creates:
        burst = create_at_once(stack, ten, creates)
        is_well = not burst.unanswered()
        print(
            f"{creates:,} creates at once of {_TENANTS} tenants: {burst.statuses}, the last after "
            f"{burst.seconds:.1f} s, half of them after {burst.median:.1f} s",
            flush=True,
        )
    return is_well


def _soak(stack: Stack, seconds: float) -> bool:
    outcome = soak(stack, tenants(stack, _CLIENTS), seconds, warm_up=min(120, seconds / 5))
    print("\n".join(outcome.lines()), flush=True)
    return outcome.verdict == "flat"


if __name__ == "__main__":
    sys.exit(main())
