"""How the parts on this machine are, asked at the addresses where they listen."""

import http.client
import socket
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum

from services.importing.endpoint import endpoint
from services.process.gateway_look import here
from services.server.probe import NotServing, check
from services.settings import Settings

#: Seconds that a part may take to answer.
_TIMEOUT = 5.0
_EXPORTS = "cartouche.exports.v1.ExportService"


class Part(StrEnum):
    """A kind of process."""

    gateway = "gateway"
    server = "server"
    #: Listens only with CARTOUCHE_METRICS_PORT.
    worker = "worker"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a part says of itself."""

    part: Part
    is_well: bool
    says: str


def listening(settings: Settings) -> list[Part]:
    """The parts that listen on this machine where the settings say."""
    found = [part for part in (Part.gateway, Part.server) if _listens(*_address(settings, part))]
    # The other two have a port for metrics as well.
    if not found and settings.metrics_port and _listens(*_address(settings, Part.worker)):
        return [Part.worker]
    return found


def ask(settings: Settings, part: Part, *, is_live: bool) -> Answer:
    """Asks a part whether it can do its work; with `is_live`, only whether its process works."""
    host, port = _address(settings, part)
    if part is Part.worker and not port:
        return Answer(part, False, "answers nowhere: set CARTOUCHE_METRICS_PORT")
    try:
        if part is Part.server and not _has_own_port(settings):
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            with endpoint(settings, address).channel(("grpc.enable_http_proxy", 0)) as channel:
                check(channel, "" if is_live else _EXPORTS, _TIMEOUT)
        else:
            _get(host, port, "/healthz" if is_live else "/readyz")
    except (NotServing, OSError, http.client.HTTPException) as error:
        return Answer(part, False, f"{error}" or type(error).__name__)
    return Answer(part, True, "is alive" if is_live else "is ready")


def _address(settings: Settings, part: Part) -> tuple[str, int]:
    if part is Part.worker or (part is Part.server and _has_own_port(settings)):
        host, port = settings.metrics_host, settings.metrics_port
    elif part is Part.server:
        host, port = settings.grpc_host, settings.grpc_port
    else:
        host, port = settings.http_host, settings.http_port
    return here(host.strip("[]")), port


def _has_own_port(settings: Settings) -> bool:
    """Whether the server says how it is where no certificate of a caller's is asked for."""
    return bool(settings.grpc_certificate and settings.metrics_port)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT):
            return True
    except OSError:
        return False


def _get(host: str, port: int, path: str) -> None:
    with closing(http.client.HTTPConnection(host, port, timeout=_TIMEOUT)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(1_000).decode(errors="replace").strip()
    if answer.status != 200:
        raise NotServing(f"answers {answer.status} at {path}: {body}")
