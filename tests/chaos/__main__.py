"""`make faults`: faults at random moments over a stream of exports, and what is true afterwards.

A run prints its seed; `SEED=` does the same again: the same faults of the same details in the
same order at each place, and the same exports. What exactly a fault meets is up to the moment.
"""

import argparse
import logging
import random
import sys

from tests.chaos.campaign import campaign
from tests.parts import RabbitMQ, Redis

BROKERS: dict[str, type[RabbitMQ] | type[Redis]] = {"rabbitmq": RabbitMQ, "redis": Redis}


def main() -> int:
    """Runs on one broker or both; 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="make faults")
    parser.add_argument("--count", type=int, default=500, help="faults on each broker")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--broker", choices=[*BROKERS, "both"], default="both")
    parser.add_argument("--only", default="", help="kinds of faults with this in their name")
    given = parser.parse_args()
    # What libraries say of parts that are away is what is to be.
    logging.disable()
    found = 0
    for name in BROKERS if given.broker == "both" else [given.broker]:
        print(f"make faults N={given.count} SEED={given.seed} BROKER={name}", flush=True)
        outcome = campaign(
            BROKERS[name],
            given.seed,
            given.count,
            lambda line: print(line, flush=True),
            only=given.only,
        )
        found += len(outcome.violations)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
