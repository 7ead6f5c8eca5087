"""The primary of PostgreSQL dies, and its standby takes its place, while exports are built."""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psycopg

from tests.needs import object_store_class, started
from tests.parts import PostgreSQL, Redis
from tests.processes import Process, environment
from tests.rehearsal.standing import (
    EXPORTS,
    SETTINGS,
    create,
    download,
    ended,
    find,
    put_pictures,
    say,
    until,
)
from tests.stack import Production


class Standby(PostgreSQL):
    """Follows a primary until it is promoted."""

    def __init__(self, primary: PostgreSQL) -> None:
        super().__init__()
        self._primary = primary

    def _make_cluster(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user)
        copy = Process(
            "pg_basebackup",
            [
                self._programs / "pg_basebackup",
                *("--pgdata", self._data, "--write-recovery-conf", "--checkpoint=fast"),
                *("--host=127.0.0.1", f"--port={self._primary.port}", "--username=cartouche"),
            ],
            self.folder,
            environment(LC_ALL="C"),
            self._user,
        )
        copy.start()
        with suppress(Exception):
            copy.wait_until(lambda: not copy.running)

    def promote(self) -> None:
        """Makes it the primary."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")


def rehearse() -> None:
    """Kills the primary in the middle of work, and promotes the standby."""
    with standing() as (primary, standby, stack):
        put_pictures(stack, "kept")
        create(stack, "kept", "before")
        assert ended(stack, "kept", "before")["status"] == "completed"
        create(stack, "kept", "during")
        until(lambda: find(stack, "kept", "during")["status"] == "processing", 60)
        client = httpx.Client(
            base_url=stack.base_url,
            headers={"X-API-Key": stack.key("viewer")},
            trust_env=False,
            timeout=30,
        )
        primary.kill()
        began_at = time.monotonic()
        answer = client.get(EXPORTS)
        say(f"the primary was killed; a call ends with {answer.status_code} after "
            f"{time.monotonic() - began_at:.1f} s")  # fmt: skip
        standby.promote()
        waited = until(lambda: client.get(EXPORTS).status_code == 200, 90)
        say(f"the standby was promoted; calls are answered {waited:.1f} s later")
        for name in ("before", "during"):
            found = find(stack, "kept", name)
            if found["code"] == 404:
                say(f"export `{name}` is not known to the standby")
                continue
            found = ended(stack, "kept", name)
            say(f"export `{name}`: {found['status']} {found.get('error_code') or ''}, its link: "
                f"{download(stack, 'kept', name)}")  # fmt: skip
        create(stack, "kept", "after")
        say(f"a new export: {ended(stack, 'kept', 'after')['status']}")
        restarts = [process.name for process in stack.processes.values() if not process.running]
        say(f"processes that ended: {restarts or 'none'}")
        say(stack.command("doctor").stdout.rstrip())
        client.close()


@contextmanager
def standing() -> Iterator[tuple[PostgreSQL, Standby, Production]]:
    """A Cartouche on a primary with a standby, which finds whichever of them is the primary."""
    with ExitStack() as parts:
        primary = parts.enter_context(started(PostgreSQL))
        redis = parts.enter_context(started(Redis))
        store = parts.enter_context(started(object_store_class()))
        name = primary.create_database().rpartition("/")[2]
        standby = Standby(primary)
        parts.callback(standby.remove)
        standby.start()
        hosts = "&".join(f"host=127.0.0.1:{server.port}" for server in (primary, standby))
        url = f"postgresql://cartouche@/{name}?{hosts}&target_session_attrs=read-write"
        with Production(
            url,
            redis.url,
            store,
            name="failover",
            workers=2,
            settings=SETTINGS,
        ) as stack:
            yield primary, standby, stack
