"""Toxiproxy: what lies between two parts, and how it is disturbed, through its HTTP API."""

from typing import Any

import httpx

from tests import binaries
from tests.parts import Part
from tests.processes import Process, accepts, environment, free_port


class Toxiproxy(Part):
    """A server of proxies."""

    title = "toxiproxy"
    program = "toxiproxy"

    @classmethod
    def version(cls) -> str:
        return binaries.GO_PROGRAMS[cls.program].version

    def proxy(self, name: str, port: int) -> "Proxy":
        """A new way to a port of loopback."""
        return Proxy(f"http://127.0.0.1:{self.port}/proxies", name, port)

    def _make_process(self) -> Process:
        program = binaries.find(self.program)
        if program is None:
            raise FileNotFoundError(binaries.missing(self.program))
        return Process(
            "toxiproxy",
            [program, "-host", "127.0.0.1", "-port", str(self.port)],
            self.folder,
            # It reports every connection.
            environment(LOG_LEVEL="error"),
        )

    def _answers(self) -> bool:
        return accepts(self.port)


class Proxy:
    """A way to a server, on a port of its own."""

    def __init__(self, api: str, name: str, target: int) -> None:
        self.port = free_port()
        self._api = api
        self._url = f"{api}/{name}"
        self._post(
            api,
            name=name,
            listen=f"127.0.0.1:{self.port}",
            upstream=f"127.0.0.1:{target}",
            enabled=True,
        )

    def lead_to(self, port: int) -> None:
        """Cuts every connection; new ones reach the server on that port."""
        self._post(self._url, upstream=f"127.0.0.1:{port}")

    def close(self) -> None:
        """Cuts every connection, and takes none."""
        self._post(self._url, enabled=False)

    def open(self) -> None:
        """Takes connections again."""
        self._post(self._url, enabled=True)

    def add(self, toxic: str, stream: str = "downstream", **attributes: int) -> None:
        """Disturbs what passes: `downstream` are the answers of the server."""
        self._post(
            f"{self._url}/toxics", name=toxic, type=toxic, stream=stream, attributes=attributes
        )

    def remove(self, toxic: str) -> None:
        """Ends such a disturbance."""
        httpx.delete(f"{self._url}/toxics/{toxic}", timeout=10, trust_env=False).raise_for_status()

    @staticmethod
    def _post(url: str, **body: Any) -> None:
        httpx.post(url, json=body, timeout=10, trust_env=False).raise_for_status()
