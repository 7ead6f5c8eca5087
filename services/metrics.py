"""What Cartouche counts and measures: every metric of server and workers, in one place.

Names and units follow Prometheus: base units, `_total` for counters. No label tells of a tenant,
a dataset or an export: each takes few values that the code knows. The gateway has its own in
`gateway/metrics.py`. `docs/operations.md` lists them all.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WORK_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)


def _part(name: str, documentation: str) -> Gauge:
    """A gauge that only the processes show which know its value."""
    return Gauge(name, documentation, registry=None)


def show(*gauges: Gauge) -> None:
    """Shows gauges of which this process knows the value."""
    for gauge in gauges:
        if gauge not in _shown:
            _shown.add(gauge)
            REGISTRY.register(gauge)


_shown: set[Gauge] = set()

# Processes

BUILD = Gauge("cartouche_build_info", "1, for the version of this process.", ["version"])

# RPCs of the gRPC server

RPCS = Counter("cartouche_rpcs_total", "RPCs that have ended.", ["method", "code"])
RPC_SECONDS = Histogram(
    "cartouche_rpc_duration_seconds",
    "Time from the first message of an RPC to its status; of streams, their whole life.",
    ["method"],
    buckets=_CALL_SECONDS,
)

# Exports

EXPORTS_CREATED = Counter("cartouche_exports_created_total", "Exports recorded.", ["format"])
EXPORTS_ENDED = Counter(
    "cartouche_exports_ended_total",
    "Exports that completed, or failed for a reason.",
    ["format", "status", "error_code"],
)
EXPORT_SECONDS = Histogram(
    "cartouche_export_duration_seconds",
    "Time from the request of an export, or its retry, to its completion.",
    ["format"],
    buckets=_WORK_SECONDS,
)
EXPORTS_UNFINISHED = Gauge(
    "cartouche_exports_unfinished", "Exports in the record that wait or run.", ["status", "format"]
)
OLDEST_EXPORT_SECONDS = Gauge(
    "cartouche_oldest_export_age_seconds",
    "Age of the oldest export that waits for its first step (pending), or runs (processing).",
    ["status"],
)
RUNNABLE_STEPS = Gauge(
    "cartouche_runnable_steps",
    "Steps in the record that a worker may claim now, within the caps of organizations.",
    ["lane"],
)
RUNNING_STEPS = _part("cartouche_running_steps", "Steps in the record that workers hold.")
RECORD_LOOKED_AT = _part(
    "cartouche_record_last_success_timestamp_seconds",
    "When the figures of the record were read last.",
)

# Workers

STEPS = Counter("cartouche_steps_total", "Steps that a worker let go of.", ["step", "outcome"])
SEGMENTS = Counter("cartouche_segments_built_total", "Segments built and recorded.")
STAGE_SECONDS = Histogram(
    "cartouche_stage_duration_seconds",
    "Time of one stage of the work of one step.",
    ["stage"],
    buckets=_WORK_SECONDS,
)
STAGE_BYTES = Counter("cartouche_stage_bytes_total", "Bytes that a stage has made.", ["stage"])
LEASES_LOST = Counter(
    "cartouche_leases_lost_total", "Claims whose lease ended before the work did.", ["reason"]
)
WORKER_FIT = _part("cartouche_worker_fit", "1: this worker takes steps; 0: it is unfit.")
WORKER_STEPS = _part("cartouche_worker_steps_running", "Steps that this worker runs.")
WORKER_SLOTS = _part("cartouche_worker_slots", "Steps that this worker runs at once, at most.")

# The record and its database

TRANSACTIONS = Counter(
    "cartouche_database_transactions_total", "Transactions that have ended.", ["kind", "outcome"]
)
TRANSACTION_SECONDS = Histogram(
    "cartouche_database_transaction_duration_seconds",
    "Time of one transaction, from its first statement to its end.",
    ["kind"],
    buckets=_CALL_SECONDS,
)
STATEMENT_SECONDS = Histogram(
    "cartouche_database_statement_duration_seconds",
    "Time of one statement.",
    buckets=_CALL_SECONDS,
)
POOL_WAIT_SECONDS = Histogram(
    "cartouche_database_pool_wait_seconds",
    "Time until a thread had a connection, new ones included.",
    buckets=_CALL_SECONDS,
)
POOL_CONNECTIONS = Gauge(
    "cartouche_database_pool_connections", "Open connections to the database.", ["state"]
)
POOL_LIMIT = _part("cartouche_database_pool_limit", "Connections that may be open at most.")
RECONCILED_AT = _part(
    "cartouche_reconciler_last_success_timestamp_seconds",
    "When the reconciler of this process looked last without a failure.",
)
ORPHAN_BYTES = _part(
    "cartouche_inventory_orphan_bytes",
    "Bytes in the bucket that no export needs, as the last inventory of this process found them.",
)
MISSING_ARCHIVES = _part(
    "cartouche_inventory_missing_archives",
    "Completed exports without an archive, as the last inventory of this process found them.",
)

# The store and the broker

STORE_CALLS = Counter(
    "cartouche_store_calls_total", "Calls of the object store that have ended.", ["verb", "outcome"]
)
STORE_SECONDS = Histogram(
    "cartouche_store_call_duration_seconds",
    "Time of one call of the object store, its body included.",
    ["verb"],
    buckets=_CALL_SECONDS,
)
BELLS = Counter("cartouche_bells_total", "Messages to the broker.", ["outcome"])

# Imports

IMAGES_IMPORTED = Counter(
    "cartouche_images_imported_total", "Images that PutImages has answered.", ["result"]
)
IMPORT_BYTES = Counter("cartouche_import_bytes_total", "Bytes of images that came in.")


@contextmanager
def seconds_of(histogram: Histogram) -> Iterator[None]:
    """Observes how long the block takes, however it ends."""
    started = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - started)


Counted = list[tuple[str, dict[str, str], float]]


def counted() -> Counted:
    """What the counters of this process stand at, for another process that adds it to its own."""
    return [
        (family.name, sample.labels, sample.value)
        for family in REGISTRY.collect()
        if family.name in _COUNTERS
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    ]


def add(counted_elsewhere: Counted) -> None:
    """Adds what a process had counted that has ended."""
    for name, labels, value in counted_elsewhere:
        counter = _COUNTERS[name]
        (counter.labels(**labels) if labels else counter).inc(value)


def _counters() -> dict[str, Counter]:
    mine: dict[str, Any] = globals()
    found = (value for value in mine.values() if isinstance(value, Counter))
    return {next(iter(counter.describe())).name: counter for counter in found}


_COUNTERS = _counters()
