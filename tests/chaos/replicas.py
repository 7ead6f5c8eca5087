"""PostgreSQL with a synchronous standby, which takes over and is then made anew."""

import shutil
from contextlib import suppress
from pathlib import Path

import psycopg

from tests import binaries
from tests.disks import small_disk
from tests.parts import PostgreSQL
from tests.processes import Process, environment

#: Megabytes of the disk of each.
DISK = 1000


class Member(PostgreSQL):
    """One server of the two, with a disk of its own where that can be had.

    Whichever is the primary answers no commit before the other one has it.
    """

    options = (
        "synchronous_standby_names=*",
        # Little is kept in reserve that could be written to once the disk is full.
        "min_wal_size=32MB",
        "max_wal_size=64MB",
        # The standby may be away for a while, and could not catch up with less.
        "wal_keep_size=320MB",
    )

    def __init__(self) -> None:
        super().__init__()
        self.disk = small_disk(self.folder / "disk", DISK)

    def remove(self) -> None:
        try:
            super().remove()
        finally:
            if self.disk:
                self.disk.remove()
                shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "disk" / "data"

    def _make_cluster(self) -> None:
        self._own_disk()
        super()._make_cluster()

    def follow(self, primary: "Member") -> None:
        """Makes this one the standby of `primary`: from a copy of what that holds now."""
        shutil.rmtree(self._data, ignore_errors=True)
        self._own_disk()
        copied = self._data / "standby.signal"
        copy = Process(
            "pg_basebackup",
            [
                self._programs / "pg_basebackup",
                *("--pgdata", self._data, "--host=127.0.0.1", f"--port={primary.port}"),
                *("--username=cartouche", "--write-recovery-conf", "--checkpoint=fast"),
                "--no-sync",
            ],
            self.folder,
            environment(LC_ALL="C"),
            self._user,
        )
        copy.start()
        copy.wait_until(lambda: copied.exists() and not copy.running)
        self.start()
        self.process.wait_until(primary.has_standby)

    def has_standby(self) -> bool:
        """Whether another one gets every commit before it is answered."""
        with suppress(psycopg.OperationalError), psycopg.connect(self.url) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
            ).fetchall()
            return bool(found)
        return False

    def take_over(self) -> None:
        """Ends the life of this one as a standby: it takes writes from now on."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")

    def _own_disk(self) -> None:
        disk = self.folder / "disk"
        disk.mkdir(exist_ok=True)
        if self._user:
            for folder in (self.folder, disk):
                shutil.chown(folder, self._user)


class Pair:
    """A primary and its synchronous standby."""

    def __init__(self) -> None:
        self.primary, self.standby = Member(), Member()

    @staticmethod
    def missing() -> str | None:
        """Why this machine cannot have it, or None where it can."""
        return Member.missing() or (
            None if binaries.find("pg_basebackup") else binaries.missing("pg_basebackup")
        )

    def start(self) -> None:
        """Starts both; returns when commits are answered."""
        self.primary.start()
        self.standby.follow(self.primary)

    def fail_over(self) -> None:
        """The primary dies, and the standby takes its place: alone, so that its commits wait
        until `restore`."""
        self.primary.kill()
        self.standby.take_over()
        self.primary, self.standby = self.standby, self.primary

    def restore(self) -> None:
        """Makes a standby of what was the primary."""
        self.standby.follow(self.primary)

    def remove(self) -> None:
        """Ends both, and removes their data."""
        try:
            self.standby.remove()
        finally:
            self.primary.remove()
