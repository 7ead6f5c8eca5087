"""Bells in the record: at most one that nobody has heard, for each lane.

A bell says that there is work in a lane, and never which. Who hears one says so before looking,
so that whoever adds work after that look rings again.
"""

from services.database.engine import Database
from services.database.turns import end_turn, take_turn
from services.exports.model import Lane

#: Seconds after which a bell that nobody heard counts as lost. Until then workers find what is
#: due by their own looks, of which the first that does takes the bell for lost; where none runs,
#: bells pile up this slowly.
PATIENCE = 3600.0


def may_ring(database: Database, lane: Lane, patience: float = PATIENCE) -> bool:
    """Whether to ring: no bell of the lane is unheard that is younger than `patience` seconds.

    Raises:
        Unavailable: the database is away.
    """
    return take_turn(database, _name(lane), patience)


def heard(database: Database, lane: Lane) -> None:
    """Says that a bell of the lane was heard.

    Raises:
        Unavailable: the database is away.
    """
    end_turn(database, _name(lane))


def _name(lane: Lane) -> str:
    return f"bell {lane}"
