"""The gRPC server: services, health, reflection, and a shutdown that finishes its calls."""

import asyncio
import resource
from concurrent.futures import ThreadPoolExecutor

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1 import catalog_service_pb2_grpc as catalog_rpc
from cartouche.exports.v1 import export_service_pb2 as exports_pb
from cartouche.exports.v1 import export_service_pb2_grpc as exports_rpc
from cartouche.webhooks.v1 import webhook_service_pb2 as webhooks_pb
from cartouche.webhooks.v1 import webhook_service_pb2_grpc as webhooks_rpc

from services import certificates
from services.catalog.limits import MAX_DOCUMENT
from services.catalog.servicer import CatalogServicer
from services.database.changes import Changes
from services.database.engine import Database
from services.doorbell import Doorbell
from services.exports.creation import Limits
from services.exports.endings import Keeping
from services.exports.servicer import ExportServicer
from services.identity.rate_limits import RateLimiter
from services.rpc.gathering import Readers
from services.server import health, reflection, threads
from services.server.credentials import server_credentials
from services.server.draining import Drain
from services.server.interceptor import CallInterceptor
from services.settings import Settings, SettingsError, networks_of
from services.storage import ObjectStore
from services.webhooks.servicer import WebhookServicer

#: The annotations of an image travel in one message: what is a little too large for the table of
#: limits is refused by it, with its name, and not with the whole stream.
MAX_MESSAGE = 5 * MAX_DOCUMENT
_GRACE = 10.0
_MOST_CONNECTIONS = 8_192
_SERVICES = (
    exports_pb.DESCRIPTOR.services_by_name["ExportService"].full_name,
    catalog_pb.DESCRIPTOR.services_by_name["CatalogService"].full_name,
    webhooks_pb.DESCRIPTOR.services_by_name["WebhookService"].full_name,
)
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    # Clients connect again now and then, so that new replicas get their share.
    ("grpc.max_connection_age_ms", 10 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 60 * 60 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # For a client that connects and says nothing, or nothing more.
    ("grpc.max_connection_idle_ms", 5 * 60 * 1000),
    ("grpc.server_handshake_timeout_ms", 5_000),
)


def _most_connections() -> int:
    """A quarter of the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files < 0 else min(files // 4, _MOST_CONNECTIONS)


class Server:
    """The server of one process. `start` it on its loop, `stop` it there."""

    def __init__(
        self, settings: Settings, database: Database, doorbell: Doorbell, store: ObjectStore
    ) -> None:
        """Listens already, and serves from `start` on.

        Raises:
            SettingsError: the address cannot be listened on, or a certificate cannot be read.
        """
        limiter = RateLimiter(settings.rate_limit_storage, settings.rate_limit)
        self._drain = Drain()
        self._changes = Changes(database)
        self._readers = Readers(threads.READS)
        self._pool = ThreadPoolExecutor(threads.CALLS, thread_name_prefix="call")
        self._server = grpc.aio.server(
            migration_thread_pool=self._pool,
            interceptors=[CallInterceptor(database, limiter, self._drain, self._readers)],
            options=(*_OPTIONS, ("grpc.max_allowed_incoming_connections", _most_connections())),
        )
        limits = Limits(
            settings.pending_quota, settings.part_size, networks_of(settings.webhook_allow)
        )
        exports_rpc.add_ExportServiceServicer_to_server(
            ExportServicer(
                database,
                self._changes,
                doorbell,
                store,
                settings.download_url_ttl,
                limits,
                Keeping.of(settings),
                self._readers,
            ),
            self._server,
        )
        catalog_rpc.add_CatalogServiceServicer_to_server(
            CatalogServicer(database, store, settings.import_space), self._server
        )
        webhooks_rpc.add_WebhookServiceServicer_to_server(WebhookServicer(database), self._server)
        self._health = health.Health(self._server, database, _SERVICES)
        if settings.reflection:
            reflection.add_reflection(self._server, (*_SERVICES, health.SERVICE_NAME))
        address = f"{settings.grpc_host}:{settings.grpc_port}"
        files = certificates.of_server(settings)
        try:
            if files is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, server_credentials(files))
        except RuntimeError:
            raise SettingsError(
                f"gRPC cannot listen on {address}, which may be taken. Stop what listens there, or "
                "give another CARTOUCHE_GRPC_HOST or CARTOUCHE_GRPC_PORT."
            ) from None

    async def start(self) -> None:
        """Serves; the port is in `port`."""
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(threads.STREAMS, thread_name_prefix="stream")
        )
        self._changes.start()
        await self._server.start()
        await self._health.start()

    async def stop(self) -> None:
        """Says so to health checks, ends streams, lets other calls end, and closes."""
        await self._health.stop()
        self._drain.begin()
        await self._server.stop(_GRACE)
        await self._changes.stop()
        self._pool.shutdown(wait=False)
        self._readers.close()
