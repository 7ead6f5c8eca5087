"""Running one step in a process of its own.

A step whose worker died may have killed it. It runs alone from then on: where it kills its
process again, nothing dies with it, and only such deaths count against its export.
"""

import json
import logging
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from types import FrameType

from dramatiq.middleware import Shutdown
from dramatiq.threading import Interrupt

from services import logs, metrics, tracing
from services.allocator import settle
from services.database.engine import Database
from services.exports import claims
from services.exports.claims import Claim
from services.exports.model import Setback
from services.settings import Settings
from services.storage import ObjectStore, StorageConfig
from workers.budget import PROCESS, STEP, Budget
from workers.context import WorkerContext
from workers.fitness import Fitness
from workers.leases import ClaimLost, LeaseKeeper
from workers.memory import limit_to, room_beside_us
from workers.running import about, count, given_back, insist, run_step, traced

logger = logging.getLogger(__name__)

#: Never forked: gRPC, the readers and the database's driver have threads.
_COMMAND = (sys.executable, "-c", "from workers.alone import main; main()")
#: Seconds between looks at the process, in which this thread can be interrupted.
_LOOK = 0.2
#: Seconds that a process has to give its claim back, before its worker does.
_GRACE = 5.0
#: How a process ends whose step stands still.
_STALLED = 70
#: Connections of such a process: the step's, and that of its lease.
_CONNECTIONS = 3


@dataclass(frozen=True, slots=True)
class _Task:
    settings: Settings
    database_url: str
    store: StorageConfig
    claim: Claim
    memory: int | None
    #: The span that waits for the process.
    traceparent: str
    #: What its steps may share.
    room: int


def run_alone(context: WorkerContext, claim: Claim) -> None:
    """Does what was claimed in a process that holds nothing else, and waits for it.

    There is one such process at a time, and no other step beside it: it has all the memory that
    is left.
    """
    room = context.budget.room
    with given_back(context, claim), ExitStack() as stack:
        try:
            # A lease may be shorter than the wait, and than the start of a process.
            with context.leases.hold(claim) as held:
                stack.enter_context(context.budget.share(room, held.check))
        except ClaimLost:
            insist(partial(claims.abandon, context.database, claim))
            return
        _run(context, claim)


def _run(context: WorkerContext, claim: Claim) -> None:
    task = _Task(
        context.settings,
        context.database.url,
        context.store.config,
        claim,
        room_beside_us(),
        logs.traceparent.get(),
        max(context.budget.room - PROCESS, STEP),
    )
    try:
        process = subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as error:
        # This machine has no room for another process.
        context.fitness.lose(error)
        insist(partial(claims.release, context.database, claim))
        return
    logger.info("a step runs alone", extra={**about(claim), "pid": process.pid})
    # Its standard input stays open as long as this process lives: the other dies with it.
    with process:
        try:
            _send(process, task)
            _keep_until_begun(context, process, claim)
            while process.poll() is None:
                _wait(process, _LOOK)
            _count(process, claim)
        except Interrupt:
            process.terminate()
            if not _wait(process, _GRACE):
                process.kill()
            raise
    if process.returncode:
        pause = insist(partial(claims.count_death, context.database, claim, Setback.worker_lost))
        logger.error(
            "a process died that ran one step alone",
            extra={**about(claim), "exit_code": process.returncode, "pause_seconds": pause},
        )


def _count(process: "subprocess.Popen[bytes]", claim: Claim) -> None:
    """Adds what a process counted that has ended; one that died counted nothing."""
    assert process.stdout is not None
    if process.returncode:
        count(claim, "died")
        return
    _begun, _, last_words = process.stdout.read().partition(b"\n")
    if last_words:
        metrics.add(json.loads(last_words))


def _send(process: "subprocess.Popen[bytes]", task: _Task) -> None:
    assert process.stdin is not None
    try:
        pickle.dump(task, process.stdin)
        process.stdin.flush()
    except BrokenPipeError:
        # It died at its start, as its exit code tells.
        pass


def _keep_until_begun(
    context: WorkerContext, process: "subprocess.Popen[bytes]", claim: Claim
) -> None:
    """Renews the lease until the other process does."""
    assert process.stdout is not None
    with context.leases.hold(claim):
        # Readable is also the end of a process that died.
        while not select.select([process.stdout], [], [], _LOOK)[0]:
            pass


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def main() -> None:
    """The process: everything that one step needs, and nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    # Of the process that started this one, and of nobody else.
    task: _Task = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_die_with_parent, name="parent", daemon=True).start()
    settle()
    limit_to(task.memory)
    settings = task.settings
    logs.configure(settings.log_level)
    with ExitStack() as stack:
        stack.callback(tracing.begin("worker", settings.otlp_endpoint))
        stack.enter_context(traced(task.claim, task.traceparent))
        database = stack.enter_context(closing(Database(task.database_url, _CONNECTIONS)))
        store = stack.enter_context(closing(ObjectStore(task.store)))
        leases = stack.enter_context(
            closing(LeaseKeeper(database, settings.lease, settings.stall, on_stall=_end_stalled))
        )
        context = WorkerContext(
            settings,
            database,
            store,
            _Silence(),
            leases,
            Fitness(lambda: None),
            Budget(task.room),
        )
        try:
            print("begun", flush=True)
            run_step(context, task.claim)
        except Interrupt:
            # The claim is given back.
            pass
    json.dump(metrics.counted(), sys.stdout)


class _Silence:
    """The process that started this one rings for what comes next."""

    def ring(self, lane: str) -> None:
        """Does nothing."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Shutdown


def _end_stalled() -> None:
    os._exit(_STALLED)


def _die_with_parent() -> None:
    # Not by the stream, whose lock would be held while the interpreter ends.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)
