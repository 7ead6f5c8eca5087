"""Constant work, and what of a Cartouche has grown when it is over.

Each cycle of the work leaves nothing behind but tombstones: rows of deleted exports, and of their
datasets, stay for half an hour on purpose, and are counted apart. So is what a worker stored for an
export that was deleted at that moment: the second sweep, at the end of that time, removes it.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy
import psutil
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from sqlalchemy import create_engine, func, inspect, select, table, text

from tests.datasets import Picture, bbox, noise_jpeg, put_all, unique
from tests.exports import object_store
from tests.load.burst import EXPORTS
from tests.load.pressure import FORMATS
from tests.load.tenants import Tenant
from tests.stack import Stack

#: Images of one cycle.
_IMAGES = 6
#: Seconds that a Cartouche gets to clear away what was deleted, those without a change after which
#: it has, which are more than two rounds of its reconciler, and those between two looks.
_SETTLING = 300.0
_QUIET = 15.0
_LOOK = 0.5
#: What may be more in the end without anything growing: a pool fills, a cache gets warm.
SLACK: Mapping[str, float] = {
    "memory": 24 * 2**20,
    "files": 12,
    "threads": 12,
    "connections": 12,
    "rows": 0,
    "tombstones": float("inf"),
    "objects": 0,
    "bytes in the store": 0,
}
#: And this share of what there was.
_SHARE = 0.1


@dataclass(frozen=True)
class Figures:
    """What a Cartouche has at a moment; memory and sizes in bytes."""

    counts: Mapping[str, float]

    @classmethod
    def of(cls, stack: Stack) -> "Figures":
        """Those of a stack now."""
        counts: dict[str, float] = dict.fromkeys(SLACK, 0.0)
        for process in stack.processes.values():
            whole = psutil.Process(process.pid)
            for one in (whole, *whole.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    counts["files"] += one.num_fds()
                    counts["threads"] += one.num_threads()
        record, deleted = _record(stack)
        counts.update(record)
        with object_store(stack) as store:
            for bucket in (store.images_bucket, store.exports_bucket):
                for found in store.list(bucket):
                    _, _, rest = found.key.partition("/")
                    if bucket == store.exports_bucket and rest.partition("/")[0] in deleted:
                        counts["tombstones"] += 1
                        continue
                    counts["objects"] += 1
                    counts["bytes in the store"] += found.size
            counts["objects"] += len(list(store.list_uploads()))
        counts["memory"] = sum(process.memory() for process in stack.processes.values())
        return cls(dict(counts))

    def grown(self, start: "Figures") -> list[str]:
        """What is more than it was at the start, and may not be."""
        return [
            name
            for name, slack in SLACK.items()
            if self.counts.get(name, 0) > _at_most(start.counts.get(name, 0), slack)
        ]


def _at_most(before: float, slack: float) -> float:
    return before + max(slack, _SHARE * before) if slack else before


def _record(stack: Stack) -> tuple[dict[str, float], set[str]]:
    """Rows of the record, tombstones, and connections to it; and the ids of deleted exports that
    are yet to be swept."""
    url = stack.env.get("CARTOUCHE_DATABASE_URL") or (
        f"sqlite:///{Path(stack.env['CARTOUCHE_HOME']) / 'cartouche.db'}"
    )
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
    count = select(func.count())
    # A deleted export has a step, that of its second sweep, and keeps the row of its dataset.
    dead = {
        "exports": "deleted",
        "datasets": "deleted_name IS NOT NULL",
        "steps": "export_id IN (SELECT id FROM exports WHERE deleted)",
    }
    try:
        with engine.connect() as connection:
            rows = sum(
                connection.scalar(count.select_from(table(name))) or 0
                for name in inspect(connection).get_table_names()
            )
            tombstones = sum(
                connection.scalar(count.select_from(table(name)).where(text(where))) or 0
                for name, where in dead.items()
            )
            deleted = {
                str(i) for i in connection.scalars(text("SELECT id FROM exports WHERE deleted"))
            }
            connections = 0
            if engine.dialect.name == "postgresql":
                others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                connections = (connection.scalar(text(others)) or 1) - 1
    finally:
        engine.dispose()
    counts: dict[str, float] = {
        "rows": rows - tombstones,
        "tombstones": tombstones,
        "connections": connections,
    }
    return counts, deleted


class Work:
    """Clients that do all that clients do, over and over, until they are told to end."""

    def __init__(self, stack: Stack, tenants: Sequence[Tenant]) -> None:
        self._stack = stack
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(one,)) for one in tenants]
        #: Cycles that are over.
        self.cycles = 0
        self.errors: list[str] = []

    def __enter__(self) -> "Work":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, tenant: Tenant) -> None:
        number = 0
        with httpx.Client(
            base_url=self._stack.base_url,
            headers={"X-API-Key": tenant.key},
            timeout=30,
            trust_env=False,
        ) as client:
            while not self._stop.is_set() and len(self.errors) < 5:
                try:
                    _cycle(self._stack, tenant, client, number)
                except (AssertionError, httpx.HTTPError, grpc.RpcError) as error:
                    self.errors.append(repr(error)[:500])
                number += 1
                self.cycles += 1


def _cycle(stack: Stack, tenant: Tenant, client: httpx.Client, number: int) -> None:
    """Imports, exports, reads, refuses, cancels, deletes: in the end nothing is left."""
    dataset = unique("soak")
    seed = int(numpy.random.default_rng().integers(2**31))
    put_all(
        stack,
        dataset,
        [
            Picture(f"{n}.jpg", noise_jpeg(seed + n, side=256), [bbox("car", x=n)])
            for n in range(_IMAGES)
        ],
        organization=tenant.organization,
    )
    path = f"{EXPORTS}/{dataset}"
    body = {"dataset_name": dataset, "name": "kept", "format": FORMATS[number % len(FORMATS)]}
    _asked(client, 201, "POST", f"{EXPORTS}/", {**body, "include_images": True})
    deadline = time.monotonic() + 60
    while (status := client.get(f"{path}/kept").json()["status"]) != "completed":
        assert status != "failed", status
        assert time.monotonic() < deadline, "an export takes more than a minute"
        time.sleep(0.1)
    link = client.get(f"{path}/kept/download").json()["download_url"]
    assert httpx.get(link, trust_env=False, timeout=30).content[:2] == b"PK"
    _asked(client, 200, "POST", f"{EXPORTS}/preview", body)
    _asked(client, 200, "GET", f"{EXPORTS}/?limit=5")
    # What is refused must not stay either.
    _asked(client, 409, "POST", f"{EXPORTS}/", body)
    _asked(client, 422, "POST", f"{EXPORTS}/", {**body, "class_filter": ["none"], "name": "x"})
    _asked(client, 404, "GET", f"{path}/none")
    _asked(client, 401, "GET", f"{path}/kept", key="pk_live_" + "0" * 32)
    _asked(client, 201, "POST", f"{EXPORTS}/", {**body, "name": "cancelled"})
    client.post(f"{path}/cancelled/cancel")
    for name in ("kept", "cancelled"):
        _asked(client, 200, "DELETE", f"{path}/{name}")
    CatalogServiceStub(stack.channel).DeleteDataset(
        catalog_pb.DeleteDatasetRequest(dataset_name=dataset),
        metadata=(("x-api-key", tenant.key),),
        timeout=30,
    )


def _asked(
    client: httpx.Client, status: int, method: str, path: str, body: object = None, key: str = ""
) -> None:
    headers = {"X-API-Key": key} if key else {}
    answer = client.request(method, path, json=body, headers=headers)
    assert answer.status_code == status, (
        f"{method} {path}: {answer.status_code} {answer.text[:300]}"
    )


@dataclass(frozen=True)
class Outcome:
    """What a soak found."""

    start: Figures
    end: Figures
    cycles: int
    seconds: float
    errors: list[str]

    @property
    def verdict(self) -> str:
        """`flat`, or what is not."""
        grown = self.end.grown(self.start)
        if self.errors:
            return f"not flat: {len(self.errors)} errors, the first {self.errors[0]}"
        return f"not flat: more {', '.join(grown)}" if grown else "flat"

    def lines(self) -> list[str]:
        """A table of figures, and the verdict."""
        lines = [f"{'':20} {'start':>14} {'end':>14}"]
        for name in SLACK:
            start, end = (figures.counts.get(name, 0) for figures in (self.start, self.end))
            lines.append(f"{name:20} {start:14,.0f} {end:14,.0f}")
        per_minute = 60 * self.cycles / self.seconds
        lines.append(
            f"{self.cycles:,} cycles in {self.seconds:.0f} s, {per_minute:.0f} a minute: "
            f"{self.verdict}"
        )
        return lines


def soak(
    stack: Stack,
    tenants: Sequence[Tenant],
    seconds: float,
    warm_up: float,
    quiet: float = _QUIET,
) -> Outcome:
    """Lets the tenants work for so many seconds, after a time in which caches and pools fill.

    `quiet`: seconds without a change after which a Cartouche has cleared away all it will.
    """
    with Work(stack, tenants) as work:
        time.sleep(warm_up)
    start, errors = settled(stack, quiet), work.errors
    begun = time.monotonic()
    with Work(stack, tenants) as work:
        time.sleep(seconds)
    worked = time.monotonic() - begun
    return Outcome(start, settled(stack, quiet), work.cycles, worked, errors + work.errors)


def settled(stack: Stack, quiet: float) -> Figures:
    """What a Cartouche has when nothing more of it goes."""
    deadline = time.monotonic() + _SETTLING
    found, since = Figures.of(stack), time.monotonic()
    while (now := time.monotonic()) < deadline and now - since < quiet:
        time.sleep(_LOOK)
        before, found = found, Figures.of(stack)
        if any(before.counts[name] != found.counts[name] for name in ("rows", "objects")):
            since = time.monotonic()
    return found
