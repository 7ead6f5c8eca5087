"""The actor: what a worker does when a doorbell rings, and when it looks by itself.

A bell says that there is work, never which: whoever hears it claims the next due step from the
record. One that comes late, twice or for nothing changes nothing.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import dramatiq
from dramatiq.middleware import Shutdown
from dramatiq.threading import Interrupt, raise_thread_exception

from services import metrics
from services.doorbell import ACTOR, QUEUE
from services.errors import Unavailable
from services.exports import bells, claims
from services.exports.claims import Claim
from services.exports.model import Lane, Step
from workers.alone import run_alone
from workers.context import WorkerContext
from workers.priority import give_way
from workers.running import MAX_LOST, run_step, traced

logger = logging.getLogger(__name__)

_TIME_LIMIT = timedelta(hours=12)
#: Seconds that a worker spends on the short steps that follow one bell. Brokers want a delivery
#: acknowledged: RabbitMQ within half an hour.
_SHORT_STEPS = 60.0
#: And on long ones, until it begins no other: with each, others hear another bell.
_LONG_STEPS = 3.0
#: Seconds that a look for work takes at the very most.
_LOOK = 120.0
#: Seconds until a worker that can do nothing for a bell passes it on.
_PAUSE = 1.0


class Slots:
    """The steps that a worker process runs at once, of the lanes that it takes: where it takes
    both, one of several threads is for short steps alone."""

    def __init__(self, threads: int, lanes: Sequence[Lane] = tuple(Lane)) -> None:
        self.lanes = tuple(lanes)
        metrics.show(metrics.WORKER_SLOTS, metrics.WORKER_STEPS)
        metrics.WORKER_SLOTS.set(threads)
        self._all = threading.Semaphore(threads)
        both = len(self.lanes) > 1
        self._long = threading.Semaphore(max(1, threads - 1) if both else threads)

    @contextmanager
    def take(self) -> Iterator[tuple[Lane, ...]]:
        """A slot, and the lanes that it may take a step of; none where every slot is taken."""
        if not self._all.acquire(blocking=False):
            yield ()
            return
        has_long = self._long.acquire(blocking=False)
        try:
            yield tuple(lane for lane in self.lanes if has_long or lane is not Lane.long)
        finally:
            if has_long:
                self._long.release()
            self._all.release()


def register(broker: dramatiq.Broker, context: WorkerContext, slots: Slots) -> None:
    """Declares the actor of this worker on `broker`."""
    dramatiq.Actor(
        partial(work, context, slots),
        broker=broker,
        actor_name=ACTOR,
        queue_name=QUEUE,
        priority=0,
        options={"time_limit": int(_TIME_LIMIT.total_seconds() * 1000), "max_retries": 0},
    )


def work(context: WorkerContext, slots: Slots, lane: str = "", *_: Any, **__: Any) -> None:
    """Hears a bell: runs steps, for a minute of short ones and a few seconds of long ones, and
    passes the bell on.

    A bell of another version may name a lane that is not known here, or say more.
    """
    began_at = time.monotonic()
    try:
        heard = Lane(lane) if lane in set(Lane) else Lane.short
        bells.heard(context.database, heard)
        if not context.fitness.is_fit or heard not in slots.lanes:
            # Others may hear it; where there are none, it is not rung without a pause.
            time.sleep(_PAUSE)
            context.doorbell.ring(heard)
            return
        while True:
            claim = take_step(context, slots)
            if claim is None:
                return
            patience = _LONG_STEPS if claim.lane is Lane.long else _SHORT_STEPS
            if time.monotonic() - began_at >= patience:
                break
        pass_on(context)
    except Unavailable as error:
        logger.warning("a bell was not followed", extra={"error": str(error)})
    except Shutdown:
        # What was claimed was given back; to Dramatiq this would be a failure.
        logger.info("a bell was left, as this worker ends")


def take_step(
    context: WorkerContext, slots: Slots, on_claim: Callable[[], None] = lambda: None
) -> Claim | None:
    """Claims the next due step and runs it; None: nothing is due, every slot is taken, or this
    worker is unfit. `on_claim` is called when there is a step to run.

    Raises:
        Unavailable: the database is away.
    """
    if not context.fitness.is_fit:
        return None
    settings = context.settings
    with slots.take() as lanes:
        claim = claims.claim_next(
            context.database, lanes, settings.lease, settings.organization_steps
        )
        if claim is None:
            return None
        on_claim()
        give_way(settings.worker_nice)
        # A bell carries nothing: all that lines and spans say comes from the claim.
        with traced(claim, claim.traceparent), metrics.WORKER_STEPS.track_inprogress():
            # Others begin while this one works.
            pass_on(context)
            if claim.alone and claim.lost < MAX_LOST and claim.step is not Step.remove:
                run_alone(context, claim)
            else:
                run_step(context, claim)
        return claim


def pass_on(context: WorkerContext) -> None:
    """Rings where more is due.

    Raises:
        Unavailable: the database is away.
    """
    for lane in Lane:
        if claims.is_due(context.database, lane, context.settings.organization_steps):
            context.doorbell.ring(lane)


class Looks:
    """Threads that look for work by themselves now and then: a broker that is away costs
    seconds, and no throughput."""

    def __init__(self, context: WorkerContext, slots: Slots) -> None:
        self._context = context
        self._slots = slots
        self._stopped = threading.Event()
        #: When each thread looked last; infinite while it runs a step, which is for its lease.
        self._looked_at = [time.monotonic()] * context.settings.worker_threads
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"look-{number}", daemon=True)
            for number in range(context.settings.worker_threads)
        ]

    def start(self) -> None:
        """Begins to look."""
        for thread in self._threads:
            thread.start()

    def fault(self) -> str | None:
        """What only a new start of this process mends; None: nothing."""
        if self._stopped.is_set():
            return None
        if not all(thread.is_alive() for thread in self._threads):
            return "a thread has ended that looks for work"
        silent = time.monotonic() - min(self._looked_at)
        if silent > _LOOK + 2 * self._context.settings.reconcile_interval.total_seconds():
            return f"a thread has not looked for work for {silent:.0f} seconds"
        return None

    def stop(self, timeout: float) -> None:
        """Interrupts what runs, which gives its claims back, and waits at most so many seconds."""
        self._stopped.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            if thread.is_alive() and thread.ident is not None:
                raise_thread_exception(thread.ident, Shutdown)  # type: ignore[no-untyped-call]
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self, number: int) -> None:
        interval = self._context.settings.reconcile_interval.total_seconds()
        try:
            while not self._stopped.wait(interval * random.uniform(0.75, 1.25)):
                try:
                    is_first = True
                    while self._look(number, is_first):
                        is_first = False
                except Unavailable as error:
                    logger.warning("a look for work failed", extra={"error": str(error)})
                except Exception:
                    logger.exception("a look for work failed")
        except Interrupt:
            return

    def _look(self, number: int, is_first: bool) -> bool:
        """Runs a step, if one is due; whether to look again at once."""

        def at_work() -> None:
            self._looked_at[number] = float("inf")

        try:
            claim = take_step(self._context, self._slots, at_work)
            if claim is not None and is_first:
                # Its bell should have been heard before: it is late, or lost.
                bells.heard(self._context.database, claim.lane)
            return claim is not None and not self._stopped.is_set()
        finally:
            self._looked_at[number] = time.monotonic()
