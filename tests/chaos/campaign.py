"""A run from its seed to its verdict."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.kinds import KINDS
from tests.chaos.report import around, signs, table
from tests.chaos.rig import Rig, rig
from tests.chaos.run import Outcome, Run, kinds_of, undisturbed
from tests.chaos.schedule import Variant, schedule
from tests.chaos.verdict import lines_of, log_lines, look
from tests.chaos.work import WEIGHTS, put_datasets
from tests.parts import RabbitMQ, Redis

#: Log lines that are shown of an export.
_LINES = 60


def campaign(
    broker: type[RabbitMQ] | type[Redis],
    seed: int,
    count: int,
    say: Callable[[str], None],
    only: str = "",
    afterwards: Callable[[Rig, Outcome, Mapping[Variant, str]], None] = lambda *_: None,
) -> Outcome:
    """Makes everything that it takes, lets a run happen, and judges it.

    Args:
        broker: the broker of the run.
        seed: of its schedule.
        count: of its faults.
        say: gets what is to be told, a line at a time.
        only: the kinds of faults with this in their name.
        afterwards: is called while everything still runs, with the exports to which nothing
            happened too.

    Raises:
        ProcessFailed: a part did not come back: nothing can be said.
    """
    # Its threads last longer than the processes that they start, which end with them.
    with ThreadPoolExecutor(len(KINDS) + 8) as pool, rig(broker) as made:
        put_datasets(made)
        kinds, missing = kinds_of(made)
        kinds = {name: place for name, place in kinds.items() if only in name}
        planned = schedule(seed, count, kinds, WEIGHTS)
        variants = sorted({order.variant for order in planned.orders}, key=repr)
        known = undisturbed(made, variants)
        outcome = Run(made, planned, say).go(pool)
        outcome.violations += look(made, outcome, known)
        say(
            f"{len(outcome.struck)} faults over {len(outcome.accepted)} exports in "
            f"{outcome.seconds:.0f} s, and {outcome.drained:.0f} s until all had ended"
        )
        for line in table([*kinds], missing, outcome):
            say(line)
        say(signs(log_lines(made)))
        for violation in outcome.violations:
            say(f"\nVIOLATION {violation.export_id}: {violation.text}")
            if violation.export_id:
                for line in around(outcome, violation):
                    say(line)
            for line in [*lines_of(made, violation)][-_LINES:]:
                say(line)
        afterwards(made, outcome, known)
        # A process that ended by itself at the end is a violation too, and tells so here.
        for process in made.processes.values():
            assert process.running, process.log()
        return outcome
