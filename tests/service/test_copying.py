"""What an earlier archive holds already is copied inside the store, and no byte tells."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from cartouche.exports.v1 import export_service_pb2 as pb

from tests.datasets import Picture, bbox, noise_jpeg, put, put_all, unique
from tests.exports import completed, create, download, object_store, stub, unzip, watch
from tests.needs import running
from tests.network import Network
from tests.parts import ObjectStore, PostgreSQL, Rclone, Redis
from tests.stack import Production

GENERATIONS = 2
#: Of about 1 MB each.
COUNT = 40
_SETTINGS = {
    "CARTOUCHE_COPY_GENERATIONS": str(GENERATIONS),
    "CARTOUCHE_PART_SIZE": str(5 * 2**20),
    "CARTOUCHE_RECONCILE_INTERVAL": "0.5",
}
_seeds = count(10_000)


_noise = cache(noise_jpeg)


def content() -> bytes:
    """An image that nobody had before: some noise, with a comment of its own."""
    seed = next(_seeds)
    comment = f"{seed:08}".encode()
    start, rest = _noise(seed % 4)[:2], _noise(seed % 4)[2:]
    return start + b"\xff\xfe" + (2 + len(comment)).to_bytes(2) + comment + rest


def picture(path: str) -> Picture:
    """The same with an annotation."""
    return Picture(path, content(), [bbox("car")])


@pytest.fixture(scope="module")
def stack(postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore) -> Iterator[Production]:
    """A Cartouche that copies, with one worker."""
    with Production(
        postgresql.create_database(),
        redis.url.removesuffix("/0") + "/8",
        object_store,
        name="copying",
        workers=1,
        settings=_SETTINGS,
    ) as found:
        yield found


@pytest.fixture
def dataset(stack: Production) -> str:
    """A dataset of COUNT images, of which there is an export."""
    name = unique("copied")
    put_all(stack, name, [picture(f"{n // 10}/{n:03}.jpg") for n in range(COUNT)])
    exported(stack, name)
    return name


def exported(stack: Production, dataset: str, **fields: Any) -> pb.Export:
    """One more export with images."""
    return completed(stack, dataset, format="coco", include_images=True, **fields)


def query(stack: Production, statement: str, *values: object) -> list[Any]:
    """What the record answers."""
    with psycopg.connect(stack.env["CARTOUCHE_DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def generation(stack: Production, export: pb.Export) -> int:
    """How many archives in a row were copied to this one."""
    ((found,),) = query(stack, "SELECT generation FROM exports WHERE id = %s", export.id)
    return int(found)


def built_anew(stack: Production, dataset: str) -> pb.Export:
    """An export of which nothing is copied."""
    query(stack, "UPDATE exports SET layout_version = NULL")
    export = exported(stack, dataset)
    assert generation(stack, export) == 0
    return export


def stage_bytes(stack: Production, stage: str) -> float:
    """Bytes that the worker has made in a stage so far."""
    start = f'cartouche_stage_bytes_total{{stage="{stage}"}} '
    lines = stack.look("worker-1", "/metrics").text.splitlines()
    return next((float(line[len(start) :]) for line in lines if line.startswith(start)), 0.0)


@contextmanager
def planned_only(stack: Production, dataset: str) -> Iterator[pb.Export]:
    """An export whose segments wait until the end of the block."""
    query(
        stack,
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN NEW.due_at := NEW.due_at + 3600; RETURN NEW; END $$",
    )
    query(
        stack,
        "CREATE TRIGGER waits BEFORE INSERT ON steps FOR EACH ROW"
        " WHEN (NEW.kind = 'segment') EXECUTE FUNCTION wait()",
    )
    try:
        export = create(stack, dataset, format="coco", include_images=True)
        segments = "SELECT source FROM steps WHERE export_id = %s AND kind = 'segment'"
        until = time.monotonic() + 60
        while not (found := query(stack, segments, export.id)):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert any(source for (source,) in found)
    finally:
        query(stack, "DROP FUNCTION wait CASCADE")
    yield export
    query(
        stack,
        "UPDATE steps SET due_at = due_at - 3600 WHERE due_at > 3000 + date_part("
        "'epoch', clock_timestamp()) AND export_id = %s",
        export.id,
    )


def change(stack: Production, dataset: str, paths: list[str], chance: random.Random) -> None:
    """Adds, removes, replaces and renames a few images; `paths` follows."""

    def some() -> list[str]:
        paths.sort()
        at = chance.randrange(len(paths))
        return paths[at : at + chance.randint(1, 4)]

    for kind in chance.sample(("add", "remove", "replace", "rename"), 2):
        chosen = some()
        if kind in ("remove", "rename"):
            CatalogServiceStub(stack.channel).DeleteImages(
                catalog_pb.DeleteImagesRequest(dataset_name=dataset, paths=chosen),
                metadata=stack.metadata("admin"),
                timeout=30,
            )
            paths[:] = [path for path in paths if path not in chosen]
        if kind == "replace":
            put(stack, dataset, [picture(path) for path in chosen])
        elif kind in ("add", "rename"):
            new = [f"{path.removesuffix('.jpg')}-{kind}.jpg" for path in chosen]
            new = [path for path in new if path not in paths]
            put(stack, dataset, [picture(path) for path in new])
            paths += new


def test_copied_and_built_archives_are_the_same_bytes(stack: Production, dataset: str) -> None:
    chance = random.Random(13)
    paths = [f"{n // 10}/{n:03}.jpg" for n in range(COUNT)]
    copies = 0
    for _ in range(6):
        change(stack, dataset, paths, chance)
        copied = exported(stack, dataset)
        copies += generation(stack, copied)
        built = built_anew(stack, dataset)
        assert (copied.file_size, copied.crc32) == (built.file_size, built.crc32)
        first, second = download(stack, copied.id), download(stack, built.id)
        assert first == second
        assert len([n for n in unzip(first).namelist() if n.endswith(".jpg")]) == len(paths)
    # A change may leave no run that is long enough.
    assert copies >= 4


def test_what_passes_through_a_worker_is_what_has_changed(stack: Production, dataset: str) -> None:
    put(stack, dataset, [picture(f"2/{n:03}.jpg") for n in (20, 21)])
    copied, built = stage_bytes(stack, "copy"), stage_bytes(stack, "images")
    export = exported(stack, dataset)
    copied, built = stage_bytes(stack, "copy") - copied, stage_bytes(stack, "images") - built
    assert built <= 2 * 1.1e6 + 2 * (5 * 2**20 + 1.1e6)
    assert copied + built > 0.95 * export.file_size
    assert generation(stack, export) == 1


def test_after_some_generations_all_is_built_anew(stack: Production, dataset: str) -> None:
    found = [generation(stack, exported(stack, dataset)) for _ in range(GENERATIONS + 2)]
    assert found == [*range(1, GENERATIONS + 1), 0, 1]


def test_other_filters_copy_what_they_share(stack: Production, dataset: str) -> None:
    put(stack, dataset, [Picture("3/030.jpg", content())])
    export = exported(stack, dataset, class_filter=["car"])
    assert generation(stack, export) == 1
    assert export.image_count == COUNT - 1
    unzip(download(stack, export.id))


def source_of(stack: Production, export: pb.Export) -> str:
    """The key of the archive of which an export copies."""
    sources = "SELECT source->>'key' FROM steps WHERE export_id = %s AND source IS NOT NULL"
    ((key,),) = set(query(stack, sources, export.id))
    return str(key)


@pytest.mark.parametrize("fault", ["deleted", "removed", "replaced", "damaged"])
def test_a_source_that_is_gone_or_another_is_built(
    stack: Production, dataset: str, fault: str
) -> None:
    copied = stage_bytes(stack, "copy")
    with planned_only(stack, dataset) as export, object_store(stack) as store:
        key = source_of(stack, export)
        if fault == "deleted":
            request = pb.DeleteExportRequest(id=key.split("/")[1])
            stub(stack).DeleteExport(request, metadata=stack.metadata("owner"), timeout=30)
            until = time.monotonic() + 60
            while store.stat(store.exports_bucket, key) is not None:
                assert time.monotonic() < until
                time.sleep(0.05)
        elif fault == "removed":
            store.delete(store.exports_bucket, key)
        else:
            archive = bytearray(store.get(store.exports_bucket, key))
            archive[len(archive) // 2] ^= 1
            store.put(store.exports_bucket, key, bytes(archive))
    found = watch(stack, export.id)[-1]
    assert found.status == pb.EXPORT_STATUS_COMPLETED, found
    assert stage_bytes(stack, "copy") == copied
    assert download(stack, found.id) == download(stack, built_anew(stack, dataset).id)


def test_a_damaged_source_ends_as_an_archive_that_is_built(stack: Production, dataset: str) -> None:
    """It was damaged after its check, and before the plan that is to copy it."""
    right = download(stack, exported(stack, dataset).id)
    with object_store(stack) as store:
        newest = "SELECT organization_id || '/' || id FROM exports ORDER BY completed_at DESC"
        key = f"{query(stack, f'{newest} LIMIT 1')[0][0]}/archive.zip"
        archive = bytearray(store.get(store.exports_bucket, key))
        # In the middle of its first image.
        archive[500_000] ^= 1
        store.put(store.exports_bucket, key, bytes(archive))
    assert download(stack, exported(stack, dataset).id) == right


def answer(status: str, code: str) -> bytes:
    """A refusal as stores have it; without a code, as what stands before them has it."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>" if code else ""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    return f"{head}Content-Type: application/xml\r\n\r\n{body}".encode()


@pytest.fixture(scope="module")
def refusing(
    postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> Iterator[tuple[Production, Network]]:
    """A Cartouche that copies, with one worker, and what is between it and its store."""
    port = urlsplit(object_store.endpoint).port
    assert port is not None
    with (
        Network(port) as network,
        Production(
            postgresql.create_database(),
            redis.url.removesuffix("/0") + "/10",
            object_store,
            name="refused-copies",
            workers=1,
            settings=_SETTINGS
            | {
                "CARTOUCHE_S3_ENDPOINT": network.through(object_store.endpoint),
                # One after the other.
                "CARTOUCHE_WORKER_THREADS": "1",
            },
        ) as stack,
    ):
        put_all(stack, "refused", [picture(f"{n:03}.jpg") for n in range(COUNT)])
        for _ in range(2):
            # The second tries out whether the store copies.
            exported(stack, "refused")
        yield stack, network


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("404 Not Found", "NoSuchKey"),
        ("404 Not Found", ""),
        ("412 Precondition Failed", "PreconditionFailed"),
        ("412 Precondition Failed", ""),
        ("501 Not Implemented", "NotImplemented"),
        ("501 Not Implemented", ""),
    ],
)
def test_a_copy_that_is_refused_in_the_middle_is_built(
    refusing: tuple[Production, Network], status: str, code: str
) -> None:
    stack, network = refusing
    # What is before it is copied, what follows not.
    put(stack, "refused", [picture("013.jpg")])
    copied = stage_bytes(stack, "copy")
    with network.answering(b"x-amz-copy-source:", None, answer(status, code)):
        export = exported(stack, "refused")
    copied = stage_bytes(stack, "copy") - copied
    assert 0 < copied < export.file_size / 2
    assert download(stack, export.id) == download(stack, built_anew(stack, "refused").id)


def test_a_store_that_copies_no_parts(postgresql: PostgreSQL, redis: Redis) -> None:
    for server in running(Rclone):
        with Production(
            postgresql.create_database(),
            redis.url.removesuffix("/0") + "/9",
            server,
            name="without-copies",
            workers=1,
            settings=_SETTINGS,
        ) as stack:
            put_all(stack, "some", [picture(f"{n:03}.jpg") for n in range(20)])
            first, second = (exported(stack, "some") for _ in range(2))
            assert generation(stack, second) == 0
            assert download(stack, first.id) == download(stack, second.id)
