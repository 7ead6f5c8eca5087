"""How transactions and statements are counted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from sqlalchemy import Connection, Engine, ExecutionContext, event

from services import metrics, tracing
from services.errors import Unavailable

Kind = Literal["read", "write", "snapshot"]


@contextmanager
def observed_transaction(kind: Kind, system: str) -> Iterator[None]:
    """Counts a transaction, and how long it took."""
    started = time.perf_counter()
    outcome = "rolled_back"
    attributes = {"db.system.name": system, "db.operation.name": kind}
    try:
        with tracing.child(f"{system} {kind}", "client", attributes):
            yield
        outcome = "committed"
    except Unavailable:
        outcome = "unavailable"
        raise
    finally:
        metrics.TRANSACTIONS.labels(kind, outcome).inc()
        metrics.TRANSACTION_SECONDS.labels(kind).observe(time.perf_counter() - started)


def observe_statements(engine: Engine) -> None:
    """Measures every statement of `engine` that comes to an end."""

    @event.listens_for(engine, "before_cursor_execute")
    def _before(
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: ExecutionContext | None,
        executemany: bool,
    ) -> None:
        connection.info["cartouche_started"] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def _after(
        connection: Connection,
        cursor: Any,
        statement: str,
        parameters: Any,
        context: ExecutionContext | None,
        executemany: bool,
    ) -> None:
        started = connection.info["cartouche_started"]
        metrics.STATEMENT_SECONDS.observe(time.perf_counter() - started)
