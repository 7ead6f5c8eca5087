"""The standard health service: what load balancers and the gateway ask."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

from services.database.engine import Database
from services.errors import Unavailable
from services.server import threads

logger = logging.getLogger(__name__)

SERVICE_NAME = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
#: Seconds between two looks at the database.
_INTERVAL = 5.0


class Health:
    """The services are ready while the database answers; the process ("") is alive anyway."""

    def __init__(
        self, server: grpc.aio.Server, database: Database, services: Sequence[str]
    ) -> None:
        """Adds the health service to `server`, for the services of these full names."""
        self._database = database
        self._services = services
        # One of its own: calls that wait for the database must not keep this one waiting.
        self._thread = ThreadPoolExecutor(threads.HEALTH, thread_name_prefix="health")
        self._servicer = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Reports at once, and again and again until `stop`."""
        await self._servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._report()
        self._reporting = asyncio.ensure_future(self._keep_reporting())

    async def stop(self) -> None:
        """Says that the process is about to end."""
        self._reporting.cancel()
        self._thread.shutdown(wait=False)
        await self._servicer.enter_graceful_shutdown()

    async def _keep_reporting(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            await self._report()

    async def _report(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._database.ping)
        except Unavailable:
            ready = False
        except Exception:
            # The next look may go well: reporting never ends.
            logger.exception("the database could not be looked at")
            ready = False
        else:
            ready = True
        answers = health_pb2.HealthCheckResponse
        for name in self._services:
            await self._servicer.set(name, answers.SERVING if ready else answers.NOT_SERVING)
