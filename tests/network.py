"""A network between two processes that can go dark, or slow, cut connections, flip a bit, or answer
in a server's place."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

from tests.processes import free_port


class Network:
    """Forwards every connection on `port` to a server on another port of loopback.

    While it is dark it takes connections and bytes, and drops them without a word, in both
    directions: nobody gets an error, and nobody an answer. The kernel acknowledges what is
    dropped, so only who bounds its own waits notices. Use it as a context manager.
    """

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._is_dark = threading.Event()
        self._marker: bytes | None = None
        self._flips_answers = False
        self._asked: bytes | None = None
        self._answers: tuple[bytes | None, ...] = ()
        self._times = 0
        #: After so many bytes of answers each of the next connections ends.
        self.cuts: list[int] = []
        #: Bytes a second that each connection gets from the server; None: as many as there are.
        self.bytes_per_second: float | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, name="network", daemon=True)
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=200)

    @contextmanager
    def dark(self) -> Iterator[None]:
        """The network is dark until the end of the block.

        Connections that were open meanwhile have lost bytes: they are then cut.
        """
        self._is_dark.set()
        try:
            yield
        finally:
            self._is_dark.clear()
            self._cut()

    @contextmanager
    def flipping(self, marker: bytes, *, in_answer: bool = False) -> Iterator[None]:
        """The next time that the marker passes, in what is sent or in an answer, its last byte
        arrives with one bit flipped. It must pass until the end of the block."""
        with self._lock:
            self._marker, self._flips_answers = marker, in_answer
        yield
        with self._lock:
            missed, self._marker = self._marker, None
        assert missed is None, "the marker did not pass"

    @contextmanager
    def answering(self, marker: bytes, *answers: bytes | None) -> Iterator[None]:
        """Requests whose head has the marker get these answers in turn, and the last one from then
        on, until the end of the block; None: the server's. All of them must be used."""
        with self._lock:
            self._asked, self._answers, self._times = marker, answers, 0
        yield
        with self._lock:
            self._asked = None
        assert self._times >= len(answers), f"it was asked {self._times} times"

    def through(self, url: str) -> str:
        """The URL of the server, as it is reached through this network."""
        return url.replace(f":{self._server_port}", f":{self.port}", 1)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that accepts, which close alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket()
            with self._lock:
                self._open |= {client, server}
            if not self._is_dark.is_set():
                try:
                    server.connect(("127.0.0.1", self._server_port))
                except OSError:
                    self._close(client, server)
                    continue
                self._start(server, client, is_answer=True)
            self._start(client, server, is_answer=False)

    def _start(self, source: socket.socket, target: socket.socket, *, is_answer: bool) -> None:
        threading.Thread(
            target=self._forward, args=(source, target, is_answer), daemon=True
        ).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            tail = b""
            with self._lock:
                left = self.cuts.pop(0) if is_answer and self.cuts else None
            while data := source.recv(64 * 1024):
                answer = None if is_answer else self._answer(data)
                if answer is not None:
                    source.sendall(answer)
                    break
                data, tail = self._flipped(data, tail, is_answer)
                if left is not None:
                    data, left = data[:left], left - len(data)
                if not self._is_dark.is_set():
                    target.sendall(data)
                if left is not None and left <= 0:
                    break
                if is_answer and self.bytes_per_second:
                    time.sleep(len(data) / self.bytes_per_second)
        # That one side has gone is no news that passes the dark.
        if not self._is_dark.is_set():
            self._close(source, target)

    def _answer(self, data: bytes) -> bytes | None:
        """What a request gets in the server's place; None: nothing."""
        with self._lock:
            if self._asked is None or self._asked not in data:
                return None
            self._times += 1
            return self._answers[min(self._times, len(self._answers)) - 1]

    def _flipped(self, data: bytes, tail: bytes, is_answer: bool) -> tuple[bytes, bytes]:
        """The next bytes of a direction, and what to remember of them; `tail` is what was
        remembered of those before."""
        with self._lock:
            marker = self._marker
            if not marker or is_answer is not self._flips_answers:
                return data, b""
            seen = tail + data
            end = seen.find(marker) + len(marker)
            if end < len(marker):
                return data, seen[-len(marker) + 1 :]
            # Of a marker that came in two pieces the last byte is in the second one.
            at = end - 1 - len(tail)
            self._marker = None
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], b""

    def _cut(self) -> None:
        with self._lock:
            left = list(self._open)
        self._close(*left)

    def _close(self, *sockets: socket.socket) -> None:
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
            with self._lock:
                self._open.discard(each)
