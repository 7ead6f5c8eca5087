"""What every step of a worker needs, made once per process."""

from dataclasses import dataclass

from services.database.engine import Database
from services.doorbell import Doorbell
from services.settings import Settings
from services.storage import ObjectStore
from workers.fitness import Fitness
from workers.leases import LeaseKeeper


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The record, the store, the doorbell, the keeper of this worker's leases, and whether it can
    work at all."""

    settings: Settings
    database: Database
    store: ObjectStore
    doorbell: Doorbell
    leases: LeaseKeeper
    fitness: Fitness
