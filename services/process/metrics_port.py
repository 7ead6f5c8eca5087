"""A port of its own for /metrics, /healthz and /readyz: for those who run Cartouche."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import disable_created_metrics, make_wsgi_app

from services import metrics
from services.process.health import Fault, Health, watching
from services.settings import Settings, SettingsError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

#: Seconds after which a client that says nothing more is hung up on.
_TIMEOUT = 10


@contextmanager
def metrics_port(
    settings: Settings,
    watches: Mapping[str, Callable[[], None]],
    *,
    liveness: Mapping[str, Fault],
    readiness: Mapping[str, Fault],
) -> Iterator[None]:
    """The port of this process until the block ends, where the settings name one.

    The process is alive without a fault of `liveness`, and ready without one of `readiness`
    and of the things that `watches` looks at.

    Raises:
        SettingsError: the address cannot be listened on.
    """
    if not settings.metrics_port:
        yield
        return
    # Prometheus knows by itself when a process began to count.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    metrics.BUILD.labels(version("cartouche")).set(1)
    with watching(watches) as watched:
        health = Health(liveness, {**readiness, **watched})
        port = MetricsPort(settings.metrics_host, settings.metrics_port, health)
        port.start()
        try:
            yield
        finally:
            port.stop()


class MetricsPort:
    """Serves what `prometheus_client` has registered in this process, and its health."""

    def __init__(self, host: str, port: int, health: Health) -> None:
        """Listens, and serves from `start` on.

        Raises:
            SettingsError: the address cannot be listened on.
        """
        self._health = health
        self._metrics = make_wsgi_app()
        try:
            self._server = make_server(host, port, self._answer, _server_class(host), _Handler)
        except OSError as error:
            raise SettingsError(
                f"CARTOUCHE_METRICS_PORT is {port}, and {host}:{port} cannot be listened on: "
                f"{error.strerror or error}. Give each process of a machine a port of its own."
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Ends; who is being answered is left alone."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _json(start_response, "405 Method Not Allowed", {"status": "no such method"})
        if path == "/metrics":
            content: Iterable[bytes] = self._metrics(environ, start_response)
            return content
        looks: dict[str, Callable[[], dict[str, str]]] = {
            "/healthz": self._health.alive,
            "/readyz": self._health.ready,
        }
        if path not in looks:
            return _json(start_response, "404 Not Found", {"status": "no such path"})
        if faults := looks[path]():
            body = {"status": "unavailable", "faults": faults}
            return _json(start_response, "503 Service Unavailable", body)
        return _json(start_response, "200 OK", {"status": "ok"})


def _json(start_response: "StartResponse", status: str, body: dict[str, Any]) -> list[bytes]:
    content = orjson.dumps(body)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start_response(status, headers)
    return [content]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def server_bind(self) -> None:
        # Theirs asks the name service for the name of this machine, which may take long.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a client of the metrics went away", exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_class(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes and probes leave no lines."""
