"""What several commands are put together from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from gateway.tracing import RequestSpan
    from services.importing.endpoint import Endpoint
    from services.process.parts import Parts
    from services.process.standalone import ServeGateway
    from services.settings import Settings
    from services.tracing import Span
    from workers.runtime import WorkerRuntime


def load_settings() -> "Settings":
    """The settings of this process, whose logs go where they say from now on.

    Raises:
        SettingsError: one has a value that it cannot have.
    """
    from services import logs, settings
    from services.allocator import settle

    settle()
    loaded = settings.load()
    logs.configure(loaded.log_level)
    return loaded


def make_worker(
    settings: "Settings", parts: "Parts", *, has_own_process: bool = False
) -> "WorkerRuntime":
    """The workers of this process, which has other parts too or not."""
    from workers.runtime import WorkerRuntime

    return WorkerRuntime(
        settings,
        parts.database,
        parts.store,
        parts.broker,
        parts.doorbell,
        has_own_process=has_own_process,
    )


def make_gateway(settings: "Settings") -> "ServeGateway":
    """The gateway of this process.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    from gateway.config import GatewayConfig, no_credentials
    from gateway.serving import serve
    from gateway.tracing import no_trace
    from services import certificates
    from services.importing.endpoint import renewed_credentials
    from services.settings import SettingsError

    proxies = tuple(part.strip() for part in settings.trusted_proxies.split(",") if part.strip())

    trace = _request_span if settings.otlp_endpoint else no_trace
    files = certificates.of_client(settings)
    credentials = renewed_credentials(files) if files else no_credentials

    async def serving(server: str, host: str, port: int, on_ready: Callable[[int], None]) -> None:
        config = GatewayConfig(
            server,
            credentials=credentials,
            server_name=settings.server_name,
            console=settings.console,
            store_origins=_store_origins(settings),
            trusted_proxies=proxies,
            trace=trace,
        )
        try:
            await serve(config, host, port, on_ready)
        except OSError as error:
            raise SettingsError(
                f"the gateway cannot listen on {host}:{port}: {error.strerror or error}. Stop what "
                "listens there, or give another CARTOUCHE_HTTP_HOST or CARTOUCHE_HTTP_PORT."
            ) from None

    return serving


@dataclass(frozen=True, slots=True)
class Connection:
    """A server, and who calls it."""

    server: "Endpoint"
    api_key: str


def load_connection(
    server: str, api_key: str, profile: str, *, needs_key: bool = True
) -> Connection:
    """The server and the key that options, environment or a profile name, in this order.

    Raises:
        SettingsError: a setting is malformed, a certificate cannot be read, or the profile.
        typer.BadParameter: there is no key, and one is needed.
    """
    from services import settings
    from services.importing.endpoint import endpoint
    from services.importing.profiles import config_file, read_profile, with_profile

    known = read_profile(profile, config_file())
    found = with_profile(settings.load(), known)
    # The option has the environment's already.
    key = api_key or known.api_key or ""
    if needs_key and not key:
        raise typer.BadParameter(
            f"give an API key: with --api-key, CARTOUCHE_API_KEY, or api_key in {config_file()}"
        )
    return Connection(endpoint(found, server), key)


@contextmanager
def tracing_to(settings: "Settings", part: str) -> Iterator[None]:
    """Traces go where the settings say until the end of the block."""
    from services import tracing

    end = tracing.begin(part, settings.otlp_endpoint)
    try:
        yield
    finally:
        end()


@contextmanager
def _request_span(traceparent: str) -> "Iterator[RequestSpan]":
    from services import logs, tracing

    with tracing.span("HTTP", "server", traceparent) as span:
        yield _RequestSpan(span, logs.traceparent.get())


def _store_origins(settings: "Settings") -> tuple[str, ...]:
    """Where links to archives may lead, with the bucket in the path or in the host."""
    if settings.embedded_store:
        # Any port: it is found when the store starts.
        return ("http://127.0.0.1:*",)
    place = urlsplit(settings.s3_public_endpoint or settings.s3_endpoint)
    path_style = f"{place.scheme}://{place.netloc}"
    return (path_style, f"{place.scheme}://{settings.s3_exports_bucket}.{place.netloc}")


class _RequestSpan:
    """The gateway's view of a span."""

    def __init__(self, span: "Span", traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent

    def end(self, name: str, attributes: "Mapping[str, str | int]", *, failed: bool) -> None:
        self._span.rename(name)
        for key, value in attributes.items():
            self._span.set(key, value)
        if failed:
            self._span.fail(str(attributes["http.response.status_code"]))
