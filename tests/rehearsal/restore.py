"""A backup of a busy Cartouche, what happens after it, and the restore, step by step as
docs/operations.md has them."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psycopg

from tests.datasets import Picture, bbox, noise_jpeg, put
from tests.needs import object_store_class, started
from tests.parts import PostgreSQL, Redis
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


class DumpedPostgreSQL(PostgreSQL):
    """PostgreSQL with the programs of its backups."""

    def dump(self, url: str) -> bytes:
        """What `pg_dump` writes of a database."""
        words = [str(self._programs / "pg_dump"), "--format=custom", url]
        return subprocess.run(words, check=True, capture_output=True).stdout

    def restore(self, url: str, dumped: bytes) -> None:
        """Puts a dump in the place of a database that nobody uses."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        words = [str(self._programs / "pg_restore"), "--dbname", url, "--exit-on-error"]
        subprocess.run(words, input=dumped, check=True, capture_output=True)


def rehearse() -> None:
    """Backs up, goes on, loses the database, and restores it; then loses a part of the store."""
    with standing() as (postgresql, stack):
        dumped, url = _backed_up(postgresql, stack)
        _goes_on(stack)
        _restored(postgresql, stack, dumped, url)
        _store_lost(stack)


@contextmanager
def standing() -> Iterator[tuple[DumpedPostgreSQL, Production]]:
    """A Cartouche on servers of its own."""
    with ExitStack() as parts:
        postgresql = parts.enter_context(started(DumpedPostgreSQL))
        redis = parts.enter_context(started(Redis))
        store = parts.enter_context(started(object_store_class()))
        database = postgresql.create_database()
        with Production(
            database, redis.url, store, name="restored", workers=2, settings=SETTINGS
        ) as stack:
            yield postgresql, stack


def _backed_up(postgresql: DumpedPostgreSQL, stack: Production) -> tuple[bytes, str]:
    put_pictures(stack, "kept")
    create(stack, "kept", "done")
    assert ended(stack, "kept", "done")["status"] == "completed"
    # An export is under way: its workers die before it is built.
    for worker in stack.workers:
        worker.pause()
    create(stack, "kept", "waits")
    for worker in stack.workers:
        worker.resume()
    until(lambda: find(stack, "kept", "waits")["status"] == "processing", 60)
    for worker in stack.workers:
        worker.kill()
    url = stack.env["CARTOUCHE_DATABASE_URL"]
    dumped = postgresql.dump(url)
    state = find(stack, "kept", "waits")
    say(f"backed up: {len(dumped):,} bytes, while an export was {state['status']}, "
        f"{state['progress']:.0%}")  # fmt: skip
    return dumped, url


def _goes_on(stack: Production) -> None:
    """What the backup knows nothing of."""
    for worker in stack.workers:
        worker.start()
        worker.wait_ready()
    say(f"after the backup: that export {ended(stack, 'kept', 'waits')['status']}")
    put_pictures(stack, "later", first=100, count=3)
    create(stack, "later", "new")
    assert ended(stack, "later", "new")["status"] == "completed"
    assert stack.http("owner").delete(f"{EXPORTS}kept/done").status_code in (200, 204)
    store, bucket = stack.store.client(), stack.exports_bucket
    archives = [o.object_name or "" for o in store.list_objects(bucket, recursive=True)]
    say(f"after the backup: one export was deleted, one made; archives: {len(archives)}")
    revoked = stack.key("viewer")
    stack.command("keys", "revoke", "--organization", stack.organization, revoked)
    assert stack.http("viewer").get(EXPORTS).status_code == 401


def _restored(postgresql: DumpedPostgreSQL, stack: Production, dumped: bytes, url: str) -> None:
    # 1. Stop everything.
    for process in reversed(stack.processes.values()):
        process.stop()
    # 2. and 3.
    postgresql.restore(url, dumped)
    say(stack.command("migrate").stdout.strip().replace("\n", "; "))
    # 4. Before anything else starts.
    done = stack.command("doctor", check=False)
    say(f"doctor ends with {done.returncode}:\n{done.stdout.rstrip()}")
    # 6. (5. comes late here: a revoked key is taken until somebody revokes it again.)
    for process in stack.processes.values():
        process.start()
    for process in stack.processes.values():
        process.wait_ready()
    until(lambda: httpx.get(f"{stack.base_url}/readyz", trust_env=False).is_success, 60)
    say(f"the revoked key: {stack.http('viewer').get(EXPORTS).status_code}")
    stack.command("keys", "revoke", "--organization", stack.organization, stack.key("viewer"))
    say(f"revoked again: {stack.http('viewer').get(EXPORTS).status_code}")
    say(f"the export that was made later: {find(stack, 'later', 'new')['code']}")
    say(f"the export that was deleted: {find(stack, 'kept', 'done')['status']}, its link: "
        f"{download(stack, 'kept', 'done')}")  # fmt: skip
    found = ended(stack, "kept", "waits")
    say(f"the export under way: {found['status']} {found.get('error_code') or ''}")
    if found["status"] == "failed":
        path = f"{EXPORTS}kept/waits/retry"
        answer = stack.http("member").post(path, json={"fresh": True})
        say(f"retried with fresh: {answer.status_code}, {ended(stack, 'kept', 'waits')['status']}")
    say(f"its link: {download(stack, 'kept', 'waits')}")
    put_pictures(stack, "later", first=100, count=3)
    create(stack, "later", "new")
    say(f"imported and exported again: {ended(stack, 'later', 'new')['status']}")


def _store_lost(stack: Production) -> None:
    """The bucket is older than the record."""
    store = stack.store.client()
    (organization,) = {
        (o.object_name or "").split("/")[0]
        for o in store.list_objects(stack.images_bucket, recursive=True)
    }
    lost = find(stack, "kept", "waits")["id"]
    store.remove_object(stack.exports_bucket, f"{organization}/{lost}/archive.zip")
    image = next(iter(store.list_objects(stack.images_bucket, recursive=True))).object_name or ""
    store.remove_object(stack.images_bucket, image)
    say(f"an archive is lost, its link: {download(stack, 'kept', 'waits')}")
    names = {}
    for dataset in ("kept", "later"):
        create(stack, dataset, "without")
        found = ended(stack, dataset, "without")
        names[dataset] = (found["status"], found.get("error_code"))
    say(f"an image is lost, exports: {sorted(names.values(), key=str)}")
    done = stack.command("doctor", check=False)
    say(f"doctor ends with {done.returncode}:\n{done.stdout.rstrip()}")
    (dataset,) = [name for name, (status, _) in names.items() if status == "failed"]
    first, count = (0, 24) if dataset == "kept" else (100, 3)
    put_pictures_again(stack, dataset, first, count)
    stack.http("member").post(f"{EXPORTS}{dataset}/without/retry", json={})
    say(f"imported again and retried: {ended(stack, dataset, 'without')['status']}")


def put_pictures_again(stack: Production, dataset: str, first: int, count: int) -> None:
    """Imports what is there already, as `cartouche import` would."""
    pictures = [Picture(f"{n:02}.jpg", noise_jpeg(first + n), [bbox("car")]) for n in range(count)]
    results = [answer.result for answer in put(stack, dataset, pictures)]
    say(f"imported again: {len(results)} images")
