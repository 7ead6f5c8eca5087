"""What several commands are put together from."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.process.parts import Parts
    from services.process.standalone import ServeGateway
    from services.settings import Settings
    from workers.runtime import WorkerRuntime


def load_settings() -> "Settings":
    """The settings of this process, whose logs go where they say from now on.

    Raises:
        SettingsError: one has a value that it cannot have.
    """
    from services import logs, settings

    loaded = settings.load()
    logs.configure(loaded.log_level)
    return loaded


def make_worker(settings: "Settings", parts: "Parts") -> "WorkerRuntime":
    """The workers of this process."""
    from workers.runtime import WorkerRuntime

    return WorkerRuntime(settings, parts.database, parts.store, parts.broker, parts.doorbell)


def make_gateway(settings: "Settings") -> "ServeGateway":
    """The gateway of this process."""
    from gateway.config import GatewayConfig
    from gateway.serving import serve
    from services.settings import SettingsError

    proxies = tuple(part.strip() for part in settings.trusted_proxies.split(",") if part.strip())

    async def serving(server: str, host: str, port: int, on_ready: Callable[[int], None]) -> None:
        try:
            await serve(GatewayConfig(server, trusted_proxies=proxies), host, port, on_ready)
        except OSError as error:
            raise SettingsError(
                f"the gateway cannot listen on {host}:{port}: {error.strerror or error}. Stop what "
                "listens there, or give another CARTOUCHE_HTTP_HOST or CARTOUCHE_HTTP_PORT."
            ) from None

    return serving
