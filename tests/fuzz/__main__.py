"""`make fuzz`: what comes from outside, changed at random.

A run prints its seed; `SEED=` gives the same cases again, and `CASE=` one of them alone. Each
target runs in processes of their own, with a limit to their memory and to the time of a case.
"""

import argparse
import multiprocessing
import random
import sys
import time

from tests.fuzz.run import TARGETS, Finding, run


def main() -> int:
    """Runs targets; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("targets", nargs="*", default=[*TARGETS])
    parser.add_argument("--cases", type=int, default=10_000, help="of each target")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    parser.add_argument("--case", type=int, help="this one of the seed alone")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    found: list[Finding] = []
    for name in given.targets:
        started = time.monotonic()
        numbers = range(given.cases) if given.case is None else range(given.case, given.case + 1)
        here = run(name, given.seed, numbers, processes=multiprocessing.cpu_count())
        found += here.findings
        print(
            f"{name:10} {len(numbers):,} cases, {len(here.findings)} findings, "
            f"{time.monotonic() - started:.0f} s, slowest case {here.slowest:.2f} s, "
            f"most memory {here.memory / 2**20:.0f} MiB",
            flush=True,
        )
    for finding in found:
        print(f"\nmake fuzz ARGS='{finding.target} --seed {given.seed} --case {finding.number}'")
        print(finding.text)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
