"""Many REST calls at once from one process, each on a connection of its own.

Written on sockets: what a client library needs for a call is more than what the gateway does.
"""

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

#: Seconds that a client waits for a whole answer.
PATIENCE = 30.0


@dataclass(frozen=True)
class Call:
    """A request of one client."""

    method: str
    path: str
    key: str
    body: Any = None

    def encoded(self) -> bytes:
        """The bytes of the request."""
        body = b"" if self.body is None else json.dumps(self.body).encode()
        head = (
            f"{self.method} {self.path} HTTP/1.1\r\nHost: load\r\nX-API-Key: {self.key}\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Answer:
    """What came back. `status` 0: nothing did within `PATIENCE` seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def call_at_once(port: int, calls: Iterable[Call]) -> list[Answer]:
    """Makes all calls at the same time; the answers are in their order."""

    async def all_of_them() -> list[Answer]:
        return await asyncio.gather(*(_answered(port, call) for call in calls))

    return asyncio.run(all_of_them())


async def _answered(port: int, call: Call) -> Answer:
    started = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(call.encoded())
                raw = await reader.read()
            finally:
                writer.close()
    except (TimeoutError, OSError):
        raw = b""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split()[1]) if first else 0
    return Answer(status, headers, body, time.monotonic() - started)
