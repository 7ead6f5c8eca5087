"""Every kind of fault: whom it strikes, and how. Each ends with what it struck as it was before."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from tests.chaos import messages
from tests.chaos.rig import CLOCK_WORKER, LEASE, Rig, bring_up, quietly, revive
from tests.chaos.schedule import Fault
from tests.disks import SmallDisk
from tests.toxiproxy import Proxy, Toxiproxy

#: Seconds that a fault waits for a worker to be at work, and until it has reached somebody.
_CATCH = 4.0
_REACH = 15.0

Inject = Callable[[Rig, str, random.Random], None]


class Missed(Exception):
    """The fault met nothing that it could strike: it does not count."""


class Misbehaved(Exception):
    """A process did what it must not, whatever happens to it."""


@dataclass(frozen=True)
class Kind:
    """One kind of fault."""

    #: `worker` is any of them.
    place: str
    inject: Inject
    #: Why this rig cannot have it; None: it can.
    missing: Callable[[Rig], str | None] = lambda rig: None


def strike(rig: Rig, fault: Fault) -> None:
    """Lets a fault happen and pass.

    Raises:
        Missed: it met nothing.
        Misbehaved: a process ended by itself, or otherwise than it was told to.
    """
    _alive(rig, fault.place)
    KINDS[fault.kind].inject(rig, fault.place, fault.chance)


def _alive(rig: Rig, place: str) -> None:
    """Nobody ends without being told to."""
    process = rig.processes.get(place)
    if process and not process.running:
        log = process.log()
        bring_up(process)
        raise Misbehaved(f"{place} had ended by itself\n{log}")


def _until(reached: Callable[[], bool]) -> None:
    """Waits until a fault has reached what it is to reach.

    Raises:
        Missed: it does not.
    """
    until = time.monotonic() + _REACH
    while not reached():
        if time.monotonic() > until:
            raise Missed
        time.sleep(0.1)


def _sleep(chance: random.Random, least: float, most: float) -> None:
    time.sleep(chance.uniform(least, most))


# Processes and servers


def _catch(rig: Rig, place: str) -> None:
    """Waits until a process is at work, where it is a worker, and it stands still then."""
    until = time.monotonic() + _CATCH
    process = rig.processes[place]
    while place.startswith("worker-") and time.monotonic() < until:
        process.pause()
        if rig.holds_a_step(place):
            return
        process.resume()
        time.sleep(0.05)


def _kill(rig: Rig, place: str, chance: random.Random) -> None:
    if process := rig.processes.get(place):
        _catch(rig, place)
        process.kill()
        _sleep(chance, 0, 1.5)
        bring_up(process)
        return
    part = rig.part(place)
    part.kill()
    _sleep(chance, 0, 1.5)
    revive(part)


def _restart(rig: Rig, place: str, chance: random.Random) -> None:
    if process := rig.processes.get(place):
        code = process.stop(timeout=60)
        _sleep(chance, 0, 0.5)
        bring_up(process)
        if code:
            raise Misbehaved(f"{place} ended with {code} when it was told to end")
        return
    part = rig.part(place)
    part.stop()
    _sleep(chance, 0, 0.5)
    revive(part)


def _pause(least: float, most: float) -> Inject:
    def inject(rig: Rig, place: str, chance: random.Random) -> None:
        if place in rig.processes:
            _catch(rig, place)
        paused = rig.processes.get(place) or rig.part(place)
        paused.pause()
        try:
            _sleep(chance, least, most)
        finally:
            paused.resume()

    return inject


# The network


@contextmanager
def _disturbed(proxy: Proxy, toxic: str, stream: str, **attributes: int) -> Iterator[None]:
    proxy.add(toxic, stream, **attributes)
    try:
        yield
    finally:
        proxy.remove(toxic)


def _cut(rig: Rig, place: str, chance: random.Random) -> None:
    """Refused, reset, or dark: taken and dropped without a word."""
    proxy = rig.proxies[place]
    how = chance.choice(("refused", "reset", "dark"))
    if how == "reset":
        with _disturbed(proxy, "reset_peer", "downstream", timeout=chance.choice((0, 50, 400))):
            _sleep(chance, 0.5, 3)
        return
    if how == "dark":
        with _disturbed(proxy, "timeout", chance.choice(("upstream", "downstream")), timeout=0):
            _sleep(chance, 0.5, 6)
    # After the dark: what lost bytes is good for nothing.
    proxy.close()
    try:
        _sleep(chance, 0, 2 if how == "refused" else 0)
    finally:
        proxy.open()


def _latency(rig: Rig, place: str, chance: random.Random) -> None:
    # A step asks the record many things.
    milliseconds = chance.randint(20, 600 if place == "database" else 3_000)
    attributes = {"latency": milliseconds, "jitter": milliseconds // 2}
    with _disturbed(rig.proxies[place], "latency", "downstream", **attributes):
        _sleep(chance, 1, 4)


def _half_bodies(rig: Rig, place: str, chance: random.Random) -> None:
    """Every connection ends after so many bytes, in the middle of whatever passes."""
    stream = chance.choice(("upstream", "downstream"))
    with _disturbed(
        rig.proxies[place], "limit_data", stream, bytes=chance.randint(1_000, 3_000_000)
    ):
        _sleep(chance, 1, 3)


def _storm(rig: Rig, place: str, chance: random.Random) -> None:
    before = rig.storm.answered
    rig.proxies[place].lead_to(rig.storm.port)
    try:
        _sleep(chance, 1, 4)
        _until(lambda: rig.storm.answered > before)
    finally:
        rig.proxies[place].lead_to(rig.minio.port)


# The rest


def _full_disk(rig: Rig, place: str, chance: random.Random) -> None:
    part, disk = rig.part(place), _disk(rig, place)
    assert disk
    before = _says_full(rig, place)

    def is_felt() -> bool:
        if place == "database":
            # What it keeps in reserve is used up at once, and not only by a day's work.
            quietly(lambda: bool(rig.rows("SELECT pg_switch_wal()")))
        return _says_full(rig, place) > before

    disk.fill()
    try:
        _sleep(chance, 1, 4)
        _until(is_felt)
    finally:
        disk.empty()
        # A server may end of it.
        revive(part)


def _says_full(rig: Rig, place: str) -> int:
    """How often PostgreSQL, or who called the store, has said that there is no room."""
    if place == "database":
        return rig.part(place).process.err.read_bytes().count(b"No space left on device")
    logs = (process.err.read_bytes() for process in rig.processes.values())
    return sum(log.count(b"XMinioStorageFull") for log in logs)


def _disk(rig: Rig, place: str) -> SmallDisk | None:
    return rig.store_disk if place == "store" else rig.pair.primary.disk


def _fail_over(rig: Rig, place: str, chance: random.Random) -> None:
    rig.pair.fail_over()
    rig.proxies[place].lead_to(rig.pair.primary.port)
    _sleep(chance, 0, 1)
    rig.pair.restore()


def _messages(times: int, delay: tuple[float, float]) -> Inject:
    def inject(rig: Rig, place: str, chance: random.Random) -> None:
        taken = messages.take(rig.broker.url)
        if not taken:
            raise Missed
        _sleep(chance, *delay)
        messages.give(rig.broker.url, taken, times)

    return inject


def _clock(rig: Rig, place: str, chance: random.Random) -> None:
    """Of S3's quarter of an hour on either side, within and beyond."""
    seconds = chance.choice((-86_400, -3_600, -300, 300, 3_600, 86_400))
    rig.move_clock(seconds)
    try:
        _sleep(chance, 1, 4)
        if abs(seconds) > 900:
            _until(lambda: _is_unfit(rig, place))
    finally:
        rig.move_clock(0)


def _credentials(rig: Rig, place: str, chance: random.Random) -> None:
    """Those of one worker are revoked, or are others."""
    keys = rig.keys[place]
    if chance.random() < 0.5:
        rig.lock_out(keys)
    else:
        rig.let_in(keys, secret="anotherone" + keys.secret_key)
    try:
        _sleep(chance, 1, 4)
        _until(lambda: _is_unfit(rig, place))
    finally:
        rig.let_in(keys)


def _is_unfit(rig: Rig, place: str) -> bool:
    """Whether a worker says that it takes no steps."""
    try:
        return rig.look(place, "/readyz").status_code == 503
    except httpx.TransportError:
        return False


def _needs_proxy(rig: Rig) -> str | None:
    return None if rig.proxies else Toxiproxy.missing()


def _needs_disk(rig: Rig, place: str) -> str | None:
    return None if _disk(rig, place) else "this machine lets us mount no small disk"


def _needs_compiler(rig: Rig) -> str | None:
    return None if rig.clock else "there is no C compiler"


def _kinds() -> Iterator[tuple[str, Kind]]:
    servers = ("database", "broker", "store")
    #: What they are called, and the name of their process or part.
    places = {"worker": "worker", "server": "serve", "gateway": "gateway"}
    for called, place in {**places, **dict(zip(servers, servers, strict=True))}.items():
        yield f"kill -9: {called}", Kind(place, _kill)
        yield f"restart: {called}", Kind(place, _restart)
        if place == "worker":
            yield "SIGSTOP beyond its lease: worker", Kind(place, _pause(LEASE + 1, LEASE + 4))
        else:
            yield f"SIGSTOP: {called}", Kind(place, _pause(0.5, 6))
    for called, place in (("server", "serve"), *zip(servers, servers, strict=True)):
        yield f"connections cut: {called}", Kind(place, _cut, _needs_proxy)
        yield f"latency: {called}", Kind(place, _latency, _needs_proxy)
    yield "half bodies: store", Kind("store", _half_bodies, _needs_proxy)
    yield "503 storm: store", Kind("store", _storm, _needs_proxy)
    for place in ("store", "database"):
        yield f"full disk: {place}", Kind(place, _full_disk, partial(_needs_disk, place=place))
    yield "failover to the standby", Kind("database", _fail_over, _needs_proxy)
    yield "messages lost", Kind("broker", _messages(0, (0, 0)))
    yield "messages doubled", Kind("broker", _messages(2, (0, 0.2)))
    yield "messages delayed", Kind("broker", _messages(1, (1, 5)))
    yield "clock moved: one worker", Kind(CLOCK_WORKER, _clock, _needs_compiler)
    yield "wrong credentials: one worker", Kind("worker", _credentials)


#: By name, in the order in which they are reported.
KINDS: Mapping[str, Kind] = dict(_kinds())
