"""Many connections that each send the same request again and again: a client that costs little, so
that what is measured is the server."""

import asyncio
import time


async def rate(port: int, path: str, key: str, connections: int, seconds: float) -> float:
    """Answers a second, over connections that stay open.

    Raises:
        AssertionError: an answer is another one than 200, or of another length than the first.
    """
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    # The first answers are of servers that have just begun.
    length = await _length(port, head)
    clients = [
        (await loop.create_connection(lambda: _Client(head, length), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 5)
    before, began_at = sum(client.answers for client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    answers, took = sum(client.answers for client in clients), time.perf_counter() - began_at
    for client in clients:
        client.end()
        assert client.wrong is None, client.wrong
    return (answers - before) / took


async def _length(port: int, head: bytes) -> int:
    """Bytes of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    fields = dict(
        line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:] if b": " in line
    )
    writer.close()
    return len(answer) + int(fields[b"content-length"])


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, head: bytes, length: int) -> None:
        self.answers = 0
        #: What came instead of an answer.
        self.wrong: bytes | None = None
        self._head = head
        self._length = length
        self._got = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._got == 0 and not data.startswith(b"HTTP/1.1 200 "):
            self.wrong = data
            self._transport.abort()
            return
        self._got += len(data)
        if self._got > self._length:
            self.wrong = data
            self._transport.abort()
        elif self._got == self._length:
            self._got = 0
            self.answers += 1
            self._transport.write(self._head)

    def end(self) -> None:
        """Closes the connection."""
        assert self._transport is not None
        self._transport.abort()
