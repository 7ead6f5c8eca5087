"""Turns: jobs that one process at a time may do, each for a while."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from services.database.clock import now
from services.database.engine import Database
from services.database.tables import leases


def take_turn(database: Database, name: str, seconds: float) -> bool:
    """Whether this process may do the job called `name` now; nobody else may for `seconds`.

    Raises:
        Unavailable: the database is away.
    """
    free = _is_free(database, name)
    if free is False:
        return False
    mine = leases.c.name == name
    turn = leases.update().where(mine, leases.c.lease_until <= now())
    try:
        with database.write() as connection:
            if free is not None:
                taken = connection.execute(turn.values(lease_until=now() + seconds))
                return taken.rowcount == 1
            connection.execute(leases.insert().values(name=name, lease_until=now() + seconds))
    except IntegrityError:
        return False
    return True


def end_turn(database: Database, name: str) -> None:
    """Lets the next one do the job called `name`.

    Raises:
        Unavailable: the database is away.
    """
    if _is_free(database, name) is False:
        with database.write() as connection:
            connection.execute(leases.update().where(leases.c.name == name).values(lease_until=0))


def _is_free(database: Database, name: str) -> bool | None:
    """Whether nobody has the turn; None: nobody ever had it. Most looks end here, unlocked."""
    query = select(leases.c.lease_until <= now()).where(leases.c.name == name)
    with database.read() as connection:
        return connection.scalar(query)
