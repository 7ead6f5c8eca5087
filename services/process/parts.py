"""The parts of a process, put together once and closed in turn."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

import dramatiq

from services.database.engine import Database
from services.database.migrate import require_schema
from services.doorbell import Doorbell, connect_broker, reach
from services.exports.bells import may_ring
from services.exports.model import Lane
from services.exports.reconciler import Reconciler
from services.process.configured import open_database, shared_broker, storage_config
from services.settings import Settings, SettingsError
from services.storage import ObjectStore, StorageConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server and the workers work with."""

    database: Database
    store: ObjectStore
    broker: dramatiq.Broker
    doorbell: Doorbell
    #: Not started.
    reconciler: Reconciler


def looks_at(parts: Parts) -> Mapping[str, Callable[[], None]]:
    """What a worker cannot work without, each to be looked at."""
    return {
        "database": parts.database.ping,
        "broker": partial(reach, parts.broker),
        "object store": parts.store.ready,
    }


@contextmanager
def assembled(
    settings: Settings, database: Database, store_config: StorageConfig, broker_url: str
) -> Iterator[Parts]:
    """The parts around a database, closed at the end of the block, which the database outlives.

    Raises:
        SettingsError: the URL names no broker Cartouche knows.
    """
    try:
        broker = connect_broker(broker_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    with ExitStack() as stack:
        store = stack.enter_context(closing(ObjectStore(store_config)))
        doorbell = stack.enter_context(
            closing(Doorbell(broker, lambda lane: may_ring(database, Lane(lane))))
        )
        reconciler = Reconciler(database, doorbell, store, settings)
        yield Parts(database, store, broker, doorbell, reconciler)


@contextmanager
def shared_parts(settings: Settings, threads: int) -> Iterator[Parts]:
    """The parts of a process that shares database, store and broker with other processes, and
    has so many threads that use the database.

    Raises:
        SettingsError: this version does not work with the database's schema, or a setting is
            missing or malformed.
        Unavailable: the database is away.
    """
    with closing(open_database(settings, threads)) as database:
        require_schema(database)
        config, broker_url = storage_config(settings), shared_broker(settings)
        if not config.signing_access_key:
            logger.warning(
                "links are signed with the platform's credentials, and end with them: set "
                "CARTOUCHE_S3_SIGNING_ACCESS_KEY for links that live as long as asked for"
            )
        with assembled(settings, database, config, broker_url) as parts:
            yield parts
