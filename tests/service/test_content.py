"""Deleting images and datasets in the record, and collecting what nothing needs any more."""

import random
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.catalog.content import (
    Content,
    Spool,
    find_contents,
    forget_content,
    own_prefix,
    store_content,
)
from services.catalog.datasets import create_dataset, get_dataset, list_datasets
from services.catalog.deletion import delete_dataset, delete_images, purge
from services.catalog.images import CheckedImage, PutResult, StoredImage, check_image, put_images
from services.catalog.model import DatasetClass
from services.database.engine import Database
from services.database.tables import (
    annotation_totals,
    class_sets,
    contents,
    datasets,
    exports,
    image_totals,
    images,
    metadata,
    released_objects,
)
from services.errors import NotFound
from services.exports import creation, endings, removal
from services.exports.claims import ExportClaim
from services.exports.collection import collect
from services.exports.endings import Completion, Failure, Keeping
from services.exports.inventory import take_inventory
from services.exports.model import ErrorCode, ExportRequest, Step
from services.exports.progress import PlannedSegment, export_planned
from services.identity.keys import ensure_organization
from services.storage import ObjectStore, StorageConfig
from tests.datasets import bbox, jpeg
from tests.parts import REGION
from tests.parts import ObjectStore as Server
from tests.service.record import take

NOW = timedelta()
KEEPING = Keeping(timedelta(days=1), timedelta(hours=1))


@pytest.fixture(scope="module")
def store(object_store: Server) -> Iterator[ObjectStore]:
    """Buckets of these tests alone."""
    suffix = secrets.token_hex(4)
    keys = object_store.credentials
    opened = ObjectStore(
        StorageConfig(
            endpoint=object_store.endpoint,
            public_endpoint=object_store.endpoint,
            region=REGION,
            access_key=keys.access_key,
            secret_key=keys.secret_key,
            signing_access_key=keys.access_key,
            signing_secret_key=keys.secret_key,
            images_bucket=f"content-images-{suffix}",
            exports_bucket=f"content-exports-{suffix}",
        )
    )
    opened.ensure_buckets()
    yield opened
    opened.close()


@dataclass(frozen=True)
class Shop:
    """An organization that imports images, and deletes them again."""

    database: Database
    store: ObjectStore
    id: str

    def dataset(self, name: str) -> str:
        return create_dataset(self.database, self.id, name, [DatasetClass("car")]).id

    def stored(self, data: bytes) -> Content:
        """The bytes in the store, as PutImages puts them there."""
        spool = Spool()
        try:
            spool.write(data)
            return store_content(self.database, self.store, self.id, spool)
        finally:
            spool.close()

    def put(self, dataset_id: str, path: str, content: Content) -> StoredImage:
        image = check_image(path, "new", "", b"")
        (stored,) = put_images(self.database, self.id, dataset_id, [(image, content)])
        return stored

    def known(self, content: Content) -> Content | None:
        return find_contents(self.database, self.id, [content.sha256])[0].get(content.sha256)

    def collect(self, pin: timedelta = NOW) -> None:
        # What a round condemns the next one removes.
        for _ in range(2):
            collect(self.database, self.store, 1_000, pin=pin)

    @property
    def keys(self) -> set[str]:
        """What Cartouche has of this organization in the images bucket."""
        prefix = own_prefix(self.id)
        return {info.key for info in self.store.list(self.store.images_bucket, prefix)}

    def export(self, dataset: str) -> ExportClaim:
        """The plan of a new export, which a worker has begun."""
        request = ExportRequest(dataset, secrets.token_hex(8), "coco")
        made = creation.create_export(self.database, self.id, request, lambda _: b"")
        claim = take(self.database)
        assert isinstance(claim, ExportClaim)
        assert (claim.export_id, claim.step) == (made.export_id, Step.plan)
        return claim

    def began(self, claim: ExportClaim, later: timedelta) -> None:
        """As if it had begun so much later."""
        at = exports.c.snapshot_at + later.total_seconds()
        with self.database.write() as connection:
            mine = exports.c.id == claim.export_id
            connection.execute(exports.update().where(mine).values(snapshot_at=at))

    def planned(self, claim: ExportClaim) -> None:
        assert export_planned(
            self.database,
            claim,
            segments=[PlannedSegment(1, "key", 1, 1)],
            upload_id=None,
            snapshot={"classes": []},
            image_count=1,
            annotation_count=0,
        )

    def remove(self, export_id: str) -> None:
        """What is done after an export has ended."""
        with self.database.write() as connection:
            connection.execute(
                metadata.tables["steps"]
                .update()
                .where(metadata.tables["steps"].c.export_id == export_id)
                .values(due_at=0)
            )
        claim = take(self.database)
        assert isinstance(claim, ExportClaim)
        assert (claim.export_id, claim.step) == (export_id, Step.remove)
        removal.remove_objects(self.database, self.store, claim, lambda: None)


@pytest.fixture
def shop(empty_record: Database, store: ObjectStore) -> Shop:
    return Shop(empty_record, store, ensure_organization(empty_record, "shop"))


def totals_of(database: Database, dataset_id: str) -> list[str]:
    """The totals of a dataset that are not all zero, by the classes of a set and not its number."""
    with database.read() as connection:
        image_rows = connection.execute(
            select(class_sets.c.key, *list(image_totals.c)[1:])
            .join(
                class_sets,
                (class_sets.c.dataset_id == image_totals.c.dataset_id)
                & (class_sets.c.number == image_totals.c.class_set_number),
            )
            .where(image_totals.c.dataset_id == dataset_id)
        ).all()
        rows = connection.execute(
            select(*list(annotation_totals.c)[1:]).where(
                annotation_totals.c.dataset_id == dataset_id
            )
        ).all()
    counted = [(row[0], row[1], *row[3:]) for row in image_rows if any(row[3:])]
    return sorted(map(str, [*counted, *(tuple(row) for row in rows if any(row[3:]))]))


def test_totals_are_those_of_what_is_left(empty_record: Database) -> None:
    organization_id = ensure_organization(empty_record, "totals")
    classes = [DatasetClass("car"), DatasetClass("person")]

    def image(number: int) -> tuple[CheckedImage, Content]:
        # Some reach over the edge, some lie in folders, some have a number in their name.
        boxes = [bbox(("car", "person")[k % 2], x=40.0 * k) for k in range(number % 4)]
        path = ("a/{}.jpg", "{}.jpg", "b/nul/{}.jpg")[number % 3].format(number)
        document = str(boxes).replace("'", '"').encode()
        content = Content(f"key {number}", 100 + number, number, f"{number:064x}", 90, 60)
        return check_image(path, ("new", "complete")[number % 2], "", document), content

    def made(name: str, numbers: list[int]) -> str:
        dataset_id = create_dataset(empty_record, organization_id, name, classes).id
        put_images(empty_record, organization_id, dataset_id, [image(n) for n in numbers])
        return dataset_id

    some = made("some", list(range(120)))
    gone = [image(n)[0].path for n in range(120) if n % 5 < 3]
    asked = [*gone, "none.jpg", gone[0]]
    assert delete_images(empty_record, organization_id, "some", asked) == (gone, ["none.jpg"])
    assert delete_images(empty_record, organization_id, "some", gone) == ([], gone)
    left = made("left", [n for n in range(120) if n % 5 >= 3])
    assert len(totals_of(empty_record, left)) > 5
    assert totals_of(empty_record, some) == totals_of(empty_record, left)
    with pytest.raises(NotFound, match="'none' was not found"):
        delete_images(empty_record, organization_id, "none", gone)
    of = {name: get_dataset(empty_record, organization_id, name) for name in ("some", "left")}
    assert of["some"].image_count == of["left"].image_count == 48
    assert of["some"].annotation_count == of["left"].annotation_count


def test_objects_go_with_the_last_image_that_has_them(shop: Shop) -> None:
    first, second = shop.dataset("first"), shop.dataset("second")
    shared, single, new = (shop.stored(jpeg(20 + n, 10)) for n in range(3))
    for dataset_id in (first, second):
        shop.put(dataset_id, "shared.jpg", shared)
    shop.put(first, "single.jpg", single)
    shop.collect()
    assert shop.keys == {shared.object_key, single.object_key, new.object_key}

    # Replaced, and deleted in one of two datasets.
    assert shop.put(first, "single.jpg", new).is_replaced
    delete_images(shop.database, shop.id, "first", ["shared.jpg"])
    shop.collect()
    assert shop.keys == {shared.object_key, new.object_key}
    assert shop.known(single) is None
    assert shop.known(shared) == shared
    # Whoever knew it before is told.
    assert shop.put(first, "again.jpg", Content(*_fields(single), is_found=True)).result == (
        PutResult.content_needed
    )
    again = shop.stored(jpeg(21, 10))
    assert (again.sha256, again.object_key != single.object_key) == (single.sha256, True)
    assert shop.put(first, "again.jpg", again).result is PutResult.created

    for name in ("first", "second"):
        delete_dataset(shop.database, shop.id, name)
    while purge(shop.database, 1):
        pass
    shop.collect()
    assert shop.keys == set()
    for table in (images, contents, released_objects, datasets):
        with shop.database.read() as connection:
            assert connection.execute(select(table)).all() == []


def _fields(content: Content) -> tuple[str, int, int, str, int, int]:
    return (
        content.object_key,
        content.size,
        content.crc32,
        content.sha256,
        content.width,
        content.height,
    )


def test_what_its_owner_put_there_stays(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    key = f"{shop.id}/uploads/mine.jpg"
    shop.store.put(shop.store.images_bucket, key, jpeg())
    shop.put(dataset_id, "mine.jpg", Content(key, len(jpeg()), 1, "a" * 64, 64, 48))
    delete_images(shop.database, shop.id, "dataset", ["mine.jpg"])
    shop.collect()
    take_inventory(shop.database, shop.store, margin=NOW, removes=True)
    assert shop.store.get(shop.store.images_bucket, key) == jpeg()


def test_an_export_keeps_what_its_snapshot_has(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    old, new = (shop.stored(jpeg(20 + n, 10)) for n in range(2))
    shop.put(dataset_id, "old.jpg", old)
    before = shop.export("dataset")
    delete_images(shop.database, shop.id, "dataset", ["old.jpg"])
    for _ in range(2):
        shop.collect()
        assert old.object_key in shop.keys
    shop.planned(before)
    shop.collect()
    assert old.object_key in shop.keys

    # It failed, and may be retried for an hour.
    failure = Failure(ErrorCode.internal, "It failed.")
    assert endings.fail(shop.database, shop.id, before.export_id, failure, KEEPING)
    shop.put(dataset_id, "new.jpg", new)
    later = shop.export("dataset")
    shop.collect()
    assert old.object_key in shop.keys
    shop.remove(before.export_id)
    # For a minute the clock may have been set back; after it, `later` cannot have seen `old`.
    shop.began(later, -timedelta(seconds=30))
    shop.collect()
    assert old.object_key in shop.keys
    shop.began(later, timedelta(seconds=120))
    shop.collect()
    assert shop.keys == {new.object_key}
    shop.began(later, -timedelta(seconds=120))
    delete_images(shop.database, shop.id, "dataset", ["new.jpg"])
    shop.collect()
    assert shop.keys == {new.object_key}
    assert endings.complete(shop.database, later, Completion(1, 1, None, 1, 0, {}), KEEPING)
    shop.collect()
    assert shop.keys == set()


def test_bytes_that_are_being_stored_again_stay(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    shop.put(dataset_id, "a.jpg", shop.stored(jpeg()))
    delete_images(shop.database, shop.id, "dataset", ["a.jpg"])
    again = shop.stored(jpeg())
    assert not again.is_fresh
    shop.collect(timedelta(hours=1))
    assert shop.put(dataset_id, "b.jpg", again).result is PutResult.created
    shop.collect()
    assert shop.keys == {again.object_key}


def test_bytes_that_were_forgotten_go_to_the_same_place(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    content = shop.stored(jpeg())
    shop.put(dataset_id, "a.jpg", content)
    shop.store.delete(shop.store.images_bucket, content.object_key)
    forget_content(shop.database, shop.id, content.sha256)
    assert shop.known(content) is None
    assert shop.put(dataset_id, "a.jpg", shop.stored(jpeg())).result is PutResult.unchanged
    assert shop.known(content) == content
    assert shop.keys == {content.object_key}


def test_a_small_deleted_dataset_goes_in_one_transaction(shop: Shop) -> None:
    """Whoever makes and deletes many of them makes no more than is cleared away."""
    for number in range(10):
        dataset_id = shop.dataset(f"dataset {number}")
        shop.put(dataset_id, "a.jpg", shop.stored(jpeg(seed=number)))
        delete_dataset(shop.database, shop.id, f"dataset {number}")
    assert purge(shop.database, 11) is False
    with shop.database.read() as connection:
        for part in (images, datasets, class_sets, image_totals, annotation_totals):
            assert connection.execute(select(part)).all() == []
    shop.collect()
    assert shop.keys == set()


def test_a_deleted_dataset_is_gone_and_its_exports_stay(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    content = shop.stored(jpeg())
    many = [(check_image(f"{n}.jpg", "new", "", b""), content) for n in range(1_200)]
    put_images(shop.database, shop.id, dataset_id, many)
    export = shop.export("dataset")
    assert delete_dataset(shop.database, shop.id, "dataset").image_count == 1_200
    for gone in (
        lambda: get_dataset(shop.database, shop.id, "dataset"),
        lambda: get_dataset(shop.database, shop.id, f"\x7f{dataset_id}"),
        lambda: shop.put(dataset_id, "late.jpg", content),
        lambda: delete_dataset(shop.database, shop.id, "dataset"),
        lambda: shop.export("dataset"),
    ):
        with pytest.raises(NotFound):
            gone()
    assert list_datasets(shop.database, shop.id, 10, 0) == ([], 0)
    # The name is free.
    shop.put(shop.dataset("dataset"), "other.jpg", content)
    # In slices of 500 rows.
    assert [purge(shop.database, 1) for _ in range(4)] == [True, True, True, False]
    with shop.database.read() as connection:
        paths = list(connection.scalars(select(images.c.path)))
        names = set(connection.scalars(select(datasets.c.deleted_name)))
    assert (paths, names) == (["other.jpg"], {"dataset", None})
    shop.collect()
    assert shop.keys == {content.object_key}

    # The row goes after its exports.
    assert endings.complete(shop.database, export, Completion(1, 1, None, 1, 0, {}), KEEPING)
    with shop.database.write() as connection:
        connection.execute(exports.delete())
    assert purge(shop.database, 1) is False
    with shop.database.read() as connection:
        assert list(connection.scalars(select(datasets.c.deleted_name))) == [None]


def test_the_inventory_finds_strays_and_missing_images(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    kept, lost, stray = (shop.stored(jpeg(20 + n, 10)) for n in range(3))
    shop.put(dataset_id, "kept.jpg", kept)
    shop.put(dataset_id, "lost.jpg", lost)
    shop.store.delete(shop.store.images_bucket, lost.object_key)
    young = take_inventory(shop.database, shop.store)
    assert (young.stray_images, young.missing_images) == (0, [lost.sha256])
    found = take_inventory(shop.database, shop.store, margin=NOW, removes=True)
    assert (found.stray_images, found.stray_bytes) == (1, stray.size)
    assert not found.is_clean
    assert shop.keys == {kept.object_key}
    # The next import sends it again.
    assert shop.known(lost) is None
    shop.put(dataset_id, "lost.jpg", shop.stored(jpeg(21, 10)))
    assert take_inventory(shop.database, shop.store, margin=NOW).is_clean


def test_what_older_versions_left_is_found(shop: Shop) -> None:
    dataset_id = shop.dataset("dataset")
    left = shop.stored(jpeg())
    shop.put(dataset_id, "replaced.jpg", left)
    with shop.database.write() as connection:
        # Without a word.
        connection.execute(images.delete())
    shop.collect()
    assert shop.keys == {left.object_key}
    take_inventory(shop.database, shop.store, removes=True)
    shop.collect()
    assert (shop.keys, shop.known(left)) == (set(), None)


def test_no_bytes_are_lost_while_they_are_imported_again(shop: Shop) -> None:
    """Importers by hash and by bytes, deleters and two collectors, all on the same few bytes."""
    dataset_id = shop.dataset("dataset")
    pictures = [jpeg(20 + n, 10, seed=n) for n in range(6)]
    # One file is always sent with its bytes: it is pinned, and so never goes in the meantime.
    measured = [shop.stored(data) for data in pictures]
    paths = [f"{n}.jpg" for n in range(10)]
    begun = time.monotonic()
    counted: dict[str, int] = {"found": 0, "sent": 0, "needed": 0}

    def is_on() -> bool:
        # For a while, and until there was a race, however busy the machine is.
        seconds = time.monotonic() - begun
        return seconds < 4 or (seconds < 60 and min(counted["found"], counted["sent"]) <= 10)

    def imports(seed: int) -> None:
        chance = random.Random(seed)
        while is_on():
            number = chance.randrange(len(pictures))
            path = chance.choice(paths)
            content = shop.known(measured[number]) if number else None
            if content is not None:
                time.sleep(chance.choice((0, 0, 0.02)))
                result = shop.put(dataset_id, path, content).result
                counted["needed" if result is PutResult.content_needed else "found"] += 1
                if result is not PutResult.content_needed:
                    continue
            content = shop.stored(pictures[number])
            time.sleep(chance.choice((0, 0, 0.02)))
            stored = shop.put(dataset_id, path, content)
            assert stored.result is not PutResult.content_needed
            counted["sent"] += 1

    def deletes(seed: int) -> None:
        chance = random.Random(seed)
        while is_on():
            delete_images(shop.database, shop.id, "dataset", chance.sample(paths, 6))
            time.sleep(0.01)

    def collects() -> None:
        while is_on():
            shop.collect(timedelta(hours=1))

    work: list[Callable[[], None]] = [collects, collects]
    work += [lambda seed=seed: imports(seed) for seed in range(4)]  # type: ignore[misc]
    work += [lambda seed=seed: deletes(seed) for seed in (10, 11)]  # type: ignore[misc]
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result(timeout=60)
    assert counted["found"] > 10, counted
    assert counted["sent"] > 10, counted
    query = select(images.c.path, images.c.object_key, images.c.sha256)
    with shop.database.read() as connection:
        left = connection.execute(query).all()
    data_of = {content.sha256: data for content, data in zip(measured, pictures, strict=True)}
    shop.collect(timedelta(hours=1))
    for row in left:
        assert shop.store.get(shop.store.images_bucket, row.object_key) == data_of[row.sha256]
    delete_images(shop.database, shop.id, "dataset", paths)
    shop.collect()
    take_inventory(shop.database, shop.store, margin=NOW, removes=True)
    assert shop.keys == set()
