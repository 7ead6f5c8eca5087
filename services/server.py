"""The gRPC server: services, health, reflection, and a shutdown that finishes its calls."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1 import catalog_service_pb2_grpc as catalog_rpc
from cartouche.exports.v1 import export_service_pb2 as exports_pb
from cartouche.exports.v1 import export_service_pb2_grpc as exports_rpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from services.catalog.servicer import CatalogServicer
from services.database.engine import Database
from services.doorbell import Doorbell
from services.errors import Unavailable
from services.exports.servicer import ExportServicer
from services.identity.rate_limits import RateLimiter
from services.interceptor import CallInterceptor
from services.settings import Settings
from services.storage import ObjectStore

#: An image's annotations travel in one message.
MAX_MESSAGE = 32 * 1024 * 1024
_THREADS = 16
_GRACE = 10.0
#: Seconds between two looks at the database.
_HEALTH_INTERVAL = 5.0
_SERVICES = (
    exports_pb.DESCRIPTOR.services_by_name["ExportService"].full_name,
    catalog_pb.DESCRIPTOR.services_by_name["CatalogService"].full_name,
)
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    # Clients connect again now and then, so that new replicas get their share.
    ("grpc.max_connection_age_ms", 10 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 60 * 60 * 1000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)


class _Symbols:
    """The descriptors for reflection, which also find a method: the pool knows only services,
    and clients such as ghz ask for `package.Service.Method`."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            return self._pool.FindFileContainingSymbol(symbol.rpartition(".")[0])


class Server:
    """The server of one process. `start` it on its loop, `stop` it there."""

    def __init__(
        self, settings: Settings, database: Database, doorbell: Doorbell, store: ObjectStore
    ) -> None:
        self._database = database
        limiter = RateLimiter(settings.rate_limit_storage, settings.rate_limit)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")
        self._server = grpc.aio.server(
            migration_thread_pool=self._pool,
            interceptors=[CallInterceptor(database, limiter)],
            options=_OPTIONS,
        )
        exports_rpc.add_ExportServiceServicer_to_server(
            ExportServicer(database, doorbell, store, settings.download_url_ttl), self._server
        )
        catalog_rpc.add_CatalogServiceServicer_to_server(
            CatalogServicer(database, store), self._server
        )
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if settings.reflection:
            reflection.enable_server_reflection(
                (
                    *_SERVICES,
                    health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                    reflection.SERVICE_NAME,
                ),
                self._server,
                pool=_Symbols(),  # type: ignore[arg-type]
            )
        self.port = self._server.add_insecure_port(f"{settings.grpc_host}:{settings.grpc_port}")

    async def start(self) -> None:
        """Serves; the port is in `port`."""
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(2 * _THREADS, thread_name_prefix="stream")
        )
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._report_health()
        self._reporting = asyncio.ensure_future(self._keep_reporting())

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_HEALTH_INTERVAL)
            await self._report_health()

    async def _report_health(self) -> None:
        """The services are ready while the database answers; the process ("") is alive anyway."""
        try:
            await asyncio.to_thread(self._database.ping)
        except Unavailable:
            ready = False
        else:
            ready = True
        answers = health_pb2.HealthCheckResponse
        for name in _SERVICES:
            await self._health.set(name, answers.SERVING if ready else answers.NOT_SERVING)

    async def stop(self) -> None:
        """Says so to health checks, lets running calls end, and closes."""
        self._reporting.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_GRACE)
        self._pool.shutdown(wait=False)
