"""One run: the faults of a schedule, while its exports are asked for and built."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import grpc
import httpx
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from tests.chaos.kinds import KINDS, Misbehaved, Missed, strike
from tests.chaos.rig import Rig, quietly
from tests.chaos.schedule import Fault, Order, Schedule, Variant
from tests.processes import ProcessFailed

EXPORTS = "/api/v1/developer/exports/"
#: Seconds that a fault waits for an export that it could disturb.
_AN_EXPORT = 5.0
#: Exports under way, below which another one is asked for.
_CROWD = 6
#: Of faults to exports, at most: so many are asked for, however fast the faults pass.
_FAULTS_PER_EXPORT = 2
#: How often a fault is tried again that met nothing: as long as there are faults to come, there
#: are exports that it could disturb.
_TRIES = 20
#: Seconds of one call, of which there are as many as it takes.
_CALL = 20.0
_PASSING = frozenset(
    (
        # Of calls that stood in line behind others for too long.
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    )
)
#: Of the REST API: to be sent again.
_PASSING_STATUS = frozenset((429, 502, 503, 504))
#: Seconds until everything that was asked for has ended after the last fault, and what it left is
#: cleared away: a step that failed often waits up to a minute.
DRAIN = 300.0


#: Of a step: it is to be over in the end, as all but the second sweep after half an hour.
TO_DO: Final = (
    "(held OR due_at IS NOT NULL"
    " AND (kind <> 'remove' OR due_at < extract(epoch FROM now()) + 600))"
)


@dataclass(frozen=True)
class Struck:
    """A fault that has passed."""

    fault: Fault
    #: Seconds since 1970.
    began: float
    ended: float
    #: The exports that were under way at any moment of it.
    exports: frozenset[str]
    #: It met nothing, and does not count.
    missed: bool


@dataclass(frozen=True)
class Violation:
    """Something that must not be."""

    text: str
    #: The export that it is about; empty: none.
    export_id: str = ""


@dataclass
class Outcome:
    """What has happened in a run."""

    struck: list[Struck] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    #: The id of the export that each order was answered with.
    accepted: dict[Order, str] = field(default_factory=dict)
    #: Seconds that the faults took, and until everything had ended after them.
    seconds: float = 0.0
    drained: float = 0.0


class Run:
    """The faults and the exports, each at its time."""

    def __init__(self, rig: Rig, schedule: Schedule, say: Callable[[str], None]) -> None:
        self.outcome = Outcome()
        self._rig, self._schedule, self._say = rig, schedule, say
        # Made before threads share them.
        self._http = rig.http("member")
        self._stub = ExportServiceStub(rig.channel)
        self._changed = threading.Condition()
        #: Faults that have passed, exports that were asked for, and those not yet answered.
        self._passed = self._asked = self._asking = 0
        self._open: frozenset[str] = frozenset()
        #: All that were seen under way, with the moment when that was last so.
        self._seen: dict[str, float] = {}
        self._stopped = threading.Event()
        self._failed = threading.Event()

    def go(self, pool: ThreadPoolExecutor) -> Outcome:
        """Lets everything happen, and waits until all of it has ended.

        `pool`: threads that last as long as the rig, since the processes that they start do not
        outlive them. One for each place, and four more.

        Raises:
            ProcessFailed: a part did not come back: nothing can be said.
        """
        began = time.monotonic()
        watcher = pool.submit(self._watch)
        askers = [pool.submit(self._ask) for _ in range(3)]
        lanes = [pool.submit(self._lane, faults) for faults in self._schedule.faults.values()]
        try:
            _all(lanes)
            self.outcome.seconds = time.monotonic() - began
            _all(askers)
            self._drain()
            self.outcome.drained = time.monotonic() - began - self.outcome.seconds
        finally:
            self._failed.set()
            self._stopped.set()
            _all([watcher, *askers, *lanes])
        return self.outcome

    # The faults

    def _lane(self, faults: list[Fault]) -> None:
        for fault in faults:
            for _ in range(_TRIES):
                if self._failed.wait(fault.pause):
                    return
                if self._strike(fault):
                    break
            with self._changed:
                self._passed += 1
                self._changed.notify_all()
            if self._passed % 50 == 0:
                self._say(f"{self._passed} of {self._schedule.count} faults have passed")

    def _strike(self, fault: Fault) -> bool:
        """Lets a fault happen and pass; whether it met something."""
        self._wait(lambda: bool(self._open), _AN_EXPORT)
        began, missed = time.time(), False
        try:
            strike(self._rig, fault)
        except Missed:
            missed = True
        except Misbehaved as error:
            self._complain(f"{fault.kind}: {error}")
        except BaseException:
            self._failed.set()
            raise
        with self._changed:
            exports = frozenset(i for i, at in self._seen.items() if at >= began - 0.5)
            self.outcome.struck.append(Struck(fault, began, time.time(), exports, missed))
        return not missed

    def _watch(self) -> None:
        """Looks which exports are under way, past everything that is disturbed."""

        def look() -> bool:
            found = self._rig.rows("SELECT id FROM exports WHERE stage <> 'done'")
            with self._changed:
                self._open = frozenset(row[0] for row in found)
                self._seen.update(dict.fromkeys(self._open, time.time()))
                self._changed.notify_all()
            return True

        while not self._stopped.wait(0.2):
            quietly(look)

    # The exports

    def _ask(self) -> None:
        """Asks for one export after the other."""
        while True:
            self._wait(self._has_room, float("inf"))
            with self._changed:
                is_over = self._passed == self._schedule.count
                enough = self._asked >= self._schedule.count // _FAULTS_PER_EXPORT
                is_last = self._asked == len(self._schedule.orders)
                if self._failed.is_set() or is_last or (is_over and enough):
                    return
                if not self._has_room():
                    continue
                order = self._schedule.orders[self._asked]
                self._asked += 1
                self._asking += 1
            self.outcome.accepted[order] = self.create(order)
            with self._changed:
                self._asking -= 1
                # Until it is seen in the record.
                self._open |= {self.outcome.accepted[order]}

    def _has_room(self) -> bool:
        return len(self._open) + self._asking < _CROWD

    def create(self, order: Order) -> str:
        """Asks for an export, as often as it takes to get an answer; its id."""
        while True:
            made = self._over_rest(order) if order.over_rest else self._over_grpc(order)
            if made is not None:
                return made
            if self._failed.wait(0.5):
                return ""

    def _over_rest(self, order: Order) -> str | None:
        variant = order.variant
        body = {
            "dataset_name": variant.dataset,
            "name": order.name,
            "format": variant.format,
            "include_images": variant.include_images,
        }
        if variant.status_filter:
            body["status_filter"] = variant.status_filter
        try:
            answer = self._http.post(
                EXPORTS, json=body, headers={"Idempotency-Key": order.name}, timeout=_CALL
            )
        except httpx.TransportError:
            return None
        if answer.is_success:
            return str(answer.json()["id"])
        if answer.status_code not in _PASSING_STATUS:
            self._complain(f"{order.name} was answered {answer.status_code}: {answer.text}")
        return None

    def _over_grpc(self, order: Order) -> str | None:
        variant = order.variant
        request = pb.CreateExportRequest(
            dataset_name=variant.dataset,
            name=order.name,
            format=variant.format,
            include_images=variant.include_images,
            status_filter=variant.status_filter,
            idempotency_key=order.name,
        )
        try:
            answer = self._stub.CreateExport(
                request, metadata=self._rig.metadata("member"), timeout=_CALL
            )
        except grpc.RpcError as error:
            is_full = "disk of the database is full" in (error.details() or "")
            if error.code() not in _PASSING and not is_full:
                self._complain(f"{order.name} was answered {error.code()}: {error.details()}")
            return None
        return answer.export.id

    # The end

    def _drain(self) -> None:
        """Waits until nothing is to be done any more."""
        until = time.monotonic() + DRAIN

        def is_over() -> bool:
            return not self._rig.rows(f"SELECT 1 FROM steps WHERE {TO_DO} LIMIT 1")

        while not quietly(is_over):
            if time.monotonic() > until:
                # What is stuck is found by those who look at the record.
                return
            time.sleep(0.3)

    def _wait(self, true: Callable[[], bool], seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while not true() and not self._failed.is_set() and time.monotonic() < until:
                self._changed.wait(0.5)

    def _complain(self, text: str) -> None:
        with self._changed:
            self.outcome.violations.append(Violation(text))


def undisturbed(rig: Rig, variants: list[Variant]) -> Mapping[Variant, str]:
    """The id of an export of each, all of which have ended, and nothing has happened to them."""
    stub, ids = ExportServiceStub(rig.channel), {}
    for number, variant in enumerate(variants):
        request = pb.CreateExportRequest(
            dataset_name=variant.dataset,
            name=f"undisturbed-{number}",
            format=variant.format,
            include_images=variant.include_images,
            status_filter=variant.status_filter,
        )
        answer = stub.CreateExport(request, metadata=rig.metadata("member"), timeout=30)
        ids[variant] = answer.export.id
    until = time.monotonic() + 120
    while rig.rows("SELECT 1 FROM exports WHERE stage <> 'done'"):
        if time.monotonic() > until:
            raise ProcessFailed(f"exports do not end although nothing happens\n{rig.log()}")
        time.sleep(0.2)
    return ids


def kinds_of(rig: Rig) -> tuple[dict[str, str], dict[str, str]]:
    """The kinds of faults that this rig can have, with their places; and why not the others."""
    missing = {name: reason for name, kind in KINDS.items() if (reason := kind.missing(rig))}
    return {name: kind.place for name, kind in KINDS.items() if name not in missing}, missing


def _all(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()
