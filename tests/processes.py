"""One real operating-system process under test: started, watched, paused, killed, ended."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_given_ports: set[int] = set()

#: Below the range from which Linux takes ports for outgoing connections, so that a server that is
#: restarted finds its port still free. Runs side by side are given a part each.
PORTS = (20_000, 32_000)
_FIRST, _LAST = map(
    int, os.environ.get("CARTOUCHE_TEST_PORTS", f"{PORTS[0]}-{PORTS[1]}").split("-")
)


class ProcessFailed(Exception):
    """A process did not start, did not become ready, or did not end; the message has its log."""


def free_port() -> int:
    """A free loopback port that no other caller in this run was given."""
    while True:
        port = random.randrange(_FIRST, _LAST)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


def accepts(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Process:
    """A process with its children. It dies with the test run, however that ends.

    Standard output goes to `<folder>/<name>.out`, standard error to `<folder>/<name>.err`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        env: Mapping[str, str],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"
        self._command = [*_dies_with_parent(user), *map(str, command)]
        self._folder = folder
        self._env = dict(env)
        self._stop_signal = stop_signal
        self._popen: subprocess.Popen[bytes] | None = None
        self._started_at = 0

    def start(self) -> None:
        """Starts it; `wait_until` says when it serves."""
        if self.running:
            raise ProcessFailed(f"{self.name} runs already")
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self._started_at = out.tell()
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self._env,
                cwd=self._folder,
                # Ctrl-C at the terminal is for the tests, which then end this in order.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process is alive (paused counts)."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            ProcessFailed: it was never started.
        """
        if self._popen is None:
            raise ProcessFailed(f"{self.name} was never started")
        return self._popen.pid

    def wait_until(self, ready: Callable[[], bool], timeout: float = 60) -> None:
        """Waits until `ready` answers True.

        Raises:
            ProcessFailed: the process ended first, or `timeout` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise ProcessFailed(f"{self.name} ended at its start\n{self.log()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} not ready after {timeout:g} s\n{self.log()}")
            time.sleep(0.02)

    def printed(self) -> str:
        """What it wrote to standard output since its last start."""
        if not self.out.exists():
            return ""
        return self.out.read_bytes()[self._started_at :].decode(errors="replace")

    def log(self, limit: int = 4000) -> str:
        """The end of what it wrote, at most `limit` characters of each stream."""
        parts = []
        for path in (self.out, self.err):
            text = path.read_text(errors="replace") if path.exists() else ""
            if text.strip():
                parts.append(f"--- {path.name} (its end)\n{text[-limit:].rstrip()}")
        return "\n".join(parts) or f"--- {self.name} wrote nothing"

    def stop(self, timeout: float = 30) -> int:
        """Asks it to end, waits, and gives its exit code (0 where it does not run).

        Raises:
            ProcessFailed: it did not end in time, or left children behind; all were killed.
        """
        if self._popen is None or not self.running:
            return 0
        self.resume()
        children = self._children()
        self._popen.send_signal(self._stop_signal)
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(
                f"{self.name} did not end within {timeout:g} s\n{self.log()}"
            ) from None
        left = _wait_gone(children)
        if left:
            names = ", ".join(str(child.pid) for child in left)
            _send(signal.SIGKILL, left)
            _wait_gone(left)
            raise ProcessFailed(f"{self.name} left processes behind: {names}\n{self.log()}")
        return code

    def kill(self) -> None:
        """SIGKILL to the process and its children, at once."""
        if self._popen is None or not self.running:
            return
        children = self._children()
        self._popen.kill()
        self._popen.wait()
        _send(signal.SIGKILL, children)
        _wait_gone(children)

    def pause(self) -> None:
        """SIGSTOP: the process and its children stand still, their connections stay open."""
        processes = [psutil.Process(self.pid), *self._children()]
        _send(signal.SIGSTOP, processes)
        # The threads of a process stop one after the other.
        _wait_while(_moves, processes)

    def resume(self) -> None:
        """SIGCONT: they go on."""
        _send(signal.SIGCONT, [psutil.Process(self.pid), *self._children()])

    def memory(self) -> int:
        """Bytes of resident memory of the process now, without its children."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def forget_peak(self) -> None:
        """Lets the kernel's record of the most memory start again from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def memory_with_children(self) -> int:
        """Bytes of memory of the process and its children now; what they share counts once."""
        found = 0
        for process in (psutil.Process(self.pid), *self._children()):
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                found += process.memory_full_info().pss
        return found

    def peak_memory(self) -> int:
        """The most bytes of resident memory the process has had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)


def environment(**settings: str) -> dict[str, str]:
    """The environment for a child: this one without any setting of Cartouche, and `settings`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("CARTOUCHE_")}
    return inherited | settings


def _dies_with_parent(user: str | None) -> list[str]:
    """The words before a command that let the kernel end it when the tests die.

    The kernel watches the thread that starts the process, so start from a thread that lasts.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise ProcessFailed("setpriv (Debian package util-linux) is missing")
        return []
    account = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
    return [setpriv, *account, "--pdeathsig=KILL", "--"]


def _send(number: signal.Signals, processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait_gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Waits until the processes have ended; gives those that have not after two seconds.

    One that has ended and that nobody has collected (a zombie) counts as gone.
    """
    return _wait_while(_alive, processes)


def _wait_while(
    true: Callable[[psutil.Process], bool], processes: list[psutil.Process]
) -> list[psutil.Process]:
    deadline = time.monotonic() + 2
    while (left := [p for p in processes if true(p)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _moves(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
