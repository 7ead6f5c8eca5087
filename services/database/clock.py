"""The database's own clock, so that leases do not depend on anybody else's."""

from typing import Any

from sqlalchemy import Double, ScalarSelect, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class now(GenericFunction[float]):
    """Seconds since 1970-01-01T00:00:00Z at this moment, not at the transaction's start."""

    type = Double()
    inherit_cache = True
    name = "cartouche_now"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **options: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def now_once() -> ScalarSelect[float]:
    """The time, asked for once: PostgreSQL searches no index for a value that may change from
    row to row."""
    return select(now()).scalar_subquery()
