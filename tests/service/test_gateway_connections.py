"""Clients that say nothing, too much or nonsense, over raw sockets, before any key."""

import json
import resource
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.processes import Process, environment

FILES = 1_024
PROBE = b"GET /healthz HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
#: A gateway of its own process, with logs as every process has them, and impatient.
GATEWAY = """
import asyncio, sys
from gateway.config import GatewayConfig, Patience
from gateway.serving import serve
from services import logs

logs.configure("INFO")
patience = Patience(head=1, idle=1, answer=1, rest=1, leaving=1)
most = int(sys.argv[1]) or None
config = GatewayConfig(server="127.0.0.1:9", max_connections=most, patience=patience)
asyncio.run(serve(config, "127.0.0.1", 0, lambda port: print(port, flush=True)))
"""


class Gateway(Process):
    """A gateway as an operating-system process; its server is away."""

    def __init__(self, folder: Path, most: int = 0, files: int = FILES) -> None:
        limited = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
        root = Path(__file__).parents[2]
        env = environment(PYTHONPATH=f"{root}:{root / 'protos'}")
        super().__init__(
            "gateway", [*limited, sys.executable, "-c", GATEWAY, str(most)], folder, env
        )

    @property
    def port(self) -> int:
        return int(self.printed())

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def answer(self, *sent: bytes) -> bytes:
        """All that comes back on a connection of its own."""
        with self.connect() as connection:
            for part in sent:
                try:
                    connection.sendall(part)
                except OSError:
                    break
            return rest_of(connection)

    def written(self) -> str:
        return self.err.read_text()


#: What a client is told of a connection that the other end has cut.
CUT = r"reset|[Pp]ipe"


def send_for_ever(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)


def send_slowly(connection: socket.socket, piece: bytes) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        connection.sendall(piece)
        time.sleep(0.1)


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other end closes."""
    received = b""
    try:
        while part := connection.recv(65_536):
            received += part
    except ConnectionResetError:
        pass
    return received


@contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    gateway.start()
    try:
        gateway.wait_until(lambda: bool(gateway.printed().strip()))
        yield gateway
        assert gateway.running
        # Nothing that clients do is an error of ours.
        assert "Traceback" not in gateway.written()
    finally:
        gateway.kill()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(Gateway(tmp_path_factory.mktemp("connections"))) as started:
        yield started


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open as many files as it needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * FILES if hard == resource.RLIM_INFINITY else min(4 * FILES, hard)
    if wanted < 2 * FILES:
        pytest.skip(f"this process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_silent_connections_keep_nobody_out(gateway: Gateway, many_files: None) -> None:
    """More of them than the process may open files."""
    with ExitStack() as stack:
        for number in range(FILES + 200):
            stack.enter_context(gateway.connect())
            if number % 100 == 0:
                assert gateway.answer(PROBE).startswith(b"HTTP/1.1 200")
        assert gateway.answer(PROBE).startswith(b"HTTP/1.1 200")
        silent = stack.enter_context(gateway.connect())
        # It is closed without a word in the end.
        assert rest_of(silent) == b""
    assert len(gateway.written()) < 10_000


def test_where_every_connection_works_one_more_is_told_to_come_back(tmp_path: Path) -> None:
    with running(Gateway(tmp_path, most=3)) as gateway, ExitStack() as stack:
        working = [stack.enter_context(gateway.connect()) for _ in range(3)]
        head = b"POST /api/v1/developer/exports/ HTTP/1.1\r\nHost: test\r\nX-API-Key: k\r\n"
        for connection in working:
            connection.sendall(head + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
        for _ in range(20):
            with gateway.connect() as refused:
                answer = rest_of(refused)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 2" in answer
        # One line, and how many more there were.
        assert gateway.written().count("a connection was refused") < 5
        working[0].close()
        for _ in range(50):
            if gateway.answer(PROBE).startswith(b"HTTP/1.1 200"):
                break
        else:
            raise AssertionError("no connection became free")


HEAD = b"GET /healthz HTTP/1.1\r\nHost: test\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n"], 400),
        ([b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n"], 400),
        ([b"nonsense\r\n\r\n"], 400),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400),
        ([b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n"], 400),
        ([HEAD + b"X: a\0b\r\n\r\n"], 400),
        ([HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"], 400),
        ([HEAD + b"Content-Length: -1\r\n\r\n"], 400),
        ([b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n"], 414),
        ([b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n"], 414),
        ([b"GET /healthz?" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n"], 414),
        ([HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n"], 431),
        ([HEAD, *[b"X: " + b"a" * 7_000 + b"\r\n"] * 20], 431),
        ([HEAD + b"A:b\r\n" * 40_000 + b"\r\n"], 431),
        # 200 MB of one header.
        ([HEAD + b"X: ", *[b"a" * 1024 * 1024] * 200], 431),
        ([HEAD], 408),
        ([b"GET /health"], 408),
    ],
    ids=[
        "bytes-in-path",
        "space-in-path",
        "nonsense",
        "http2",
        "connect",
        "control-in-header",
        "two-lengths",
        "negative-length",
        "long-path",
        "longer-path",
        "long-query",
        "one-header",
        "headers-in-pieces",
        "many-headers",
        "200-mb",
        "no-end",
        "half-a-line",
    ],
)
def test_what_is_no_request_gets_our_own_answer(
    gateway: Gateway, sent: list[bytes], status: int
) -> None:
    before = gateway.memory()
    head, _, body = gateway.answer(*sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
    assert b"\r\nX-Request-Id: " in head
    answer = json.loads(body)
    assert answer["message"] == answer["detail"]
    assert answer["error"]
    assert gateway.memory() - before < 20 * 1024 * 1024


def test_bytes_behind_an_answer_do_not_go_on_for_ever(gateway: Gateway) -> None:
    """The rest of a body, and trailers, which have no end of their own."""
    for framing, part in (
        (b"Content-Length: 100000000000\r\n\r\n", b"a"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"a"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    ):
        before = gateway.memory()
        with gateway.connect() as connection:
            connection.sendall(HEAD + framing)
            piece = part * (1024 * 1024 // len(part))
            with pytest.raises(OSError, match=CUT):
                send_for_ever(connection, piece)
        assert gateway.memory() - before < 40 * 1024 * 1024


def test_an_answer_that_is_not_read_is_given_up(gateway: Gateway) -> None:
    before = gateway.memory()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", gateway.port))
        # More than the buffers of the kernel hold.
        page = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: test\r\n\r\n"
        connection.sendall(page * 90)
        with pytest.raises(OSError, match=CUT):
            send_slowly(connection, b"G")
    assert gateway.memory() - before < 40 * 1024 * 1024


def test_requests_that_stand_in_line_are_no_more_than_a_hundred(gateway: Gateway) -> None:
    before = gateway.memory()
    page = b"GET /openapi.json HTTP/1.1\r\nHost: test\r\n\r\n"
    with gateway.connect() as connection, pytest.raises(OSError, match=CUT):
        send_for_ever(connection, page * 1_000)
    assert gateway.memory() - before < 40 * 1024 * 1024


def test_requests_in_one_piece_are_all_answered(gateway: Gateway) -> None:
    keeping = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
    answer = gateway.answer(keeping * 20)
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    # One after another, with a body that nobody reads in between.
    with gateway.connect() as connection:
        for body in (b"", b"x" * 100_000, b""):
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            connection.sendall(HEAD + length + body)
            answer = b""
            while not answer.endswith(b'"ok"}'):
                answer += connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 200")
