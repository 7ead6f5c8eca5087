"""What every step of a worker needs, made once per process."""

from dataclasses import dataclass
from typing import Protocol

from services.database.engine import Database
from services.settings import Settings
from services.storage import ObjectStore
from workers.budget import Budget
from workers.fitness import Fitness
from workers.leases import LeaseKeeper


class Bell(Protocol):
    """What says that there is more to do."""

    def ring(self, lane: str) -> None:
        """Says so in a lane; returns at once and never fails."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The record, the store, the doorbell, the keeper of this worker's leases, whether it can work
    at all, and the memory that its steps share."""

    settings: Settings
    database: Database
    store: ObjectStore
    doorbell: Bell
    leases: LeaseKeeper
    fitness: Fitness
    budget: Budget
