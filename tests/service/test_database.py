"""The schema and the queries, on SQLite and PostgreSQL."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, inspect, select, text

from services.catalog.content import Content, find_contents, own_prefix
from services.catalog.datasets import (
    append_classes,
    create_dataset,
    get_dataset,
    list_datasets,
)
from services.catalog.deletion import delete_dataset, delete_images, purge
from services.catalog.images import PutResult, StoredImage, check_image, put_images
from services.catalog.model import (
    IMAGE_STATUSES,
    ClassAttribute,
    DatasetClass,
    Skeleton,
    SkeletonNode,
)
from services.catalog.pictures.measure import MEASURE
from services.catalog.selection import (
    Selection,
    image_totals_of,
    selected_images,
    shape_totals_of,
)
from services.database import migrate as migrations
from services.database.engine import Database
from services.database.migrate import migrate, require_schema
from services.database.tables import compatibility, contents, exports, metadata
from services.doorbell import Doorbell, connect_broker
from services.errors import Unavailable
from services.exports import claims, creation, endings, progress, queries
from services.exports.collection import _condemn, _owners, _see
from services.exports.endings import Failure, Keeping
from services.exports.inventory import _known_objects
from services.exports.model import (
    ErrorCode,
    ExportAddress,
    ExportRequest,
    Lane,
    Setback,
    Stage,
    Status,
    Step,
)
from services.exports.reconciler import sweep
from services.identity.keys import authenticate, create_key, ensure_organization
from services.identity.roles import Role
from services.settings import Settings, SettingsError
from tests.datasets import bbox
from tests.parts import PostgreSQL

DATASETS = 10
IMAGES = 300
EXPORTS = 3000
LEASE = timedelta(seconds=30)
FAILURE = Failure(ErrorCode.internal, "enough")
KEEPING = Keeping(retention=timedelta(), retry_window=timedelta())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def urls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Makes empty databases, and gives their URLs."""
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("databases")
        return lambda: f"sqlite:///{folder / uuid.uuid4().hex}.db"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return lambda: server.create_database().replace("postgresql:", "postgresql+psycopg:", 1)


@contextmanager
def opened(url: str, pool_size: int = 10) -> Iterator[Database]:
    database = Database(url, pool_size)
    try:
        yield database
    finally:
        database.close()


def schema(connection: Connection) -> dict[str, Any]:
    """Everything that the database itself says of its tables."""
    inspector = inspect(connection)
    found: dict[str, Any] = {}
    for name in inspector.get_table_names():
        if name == "alembic_version":
            continue
        found[name] = {
            "columns": [
                {key: str(value) for key, value in column.items() if key != "comment"}
                for column in inspector.get_columns(name)
            ],
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(name))),
            "unique": sorted(map(str, inspector.get_unique_constraints(name))),
            "indexes": sorted(
                str(index | {"dialect_options": _texts(index.get("dialect_options", {}))})
                for index in inspector.get_indexes(name)
            ),
        }
    return found


def _texts(options: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in options.items()}


def test_the_migrations_make_the_tables(urls: Callable[[], str]) -> None:
    with opened(urls()) as migrated, opened(urls()) as made:
        migrate(migrated)
        with made.write() as connection:
            metadata.create_all(connection)
            wanted = schema(connection)
        with migrated.write() as connection:
            assert schema(connection) == wanted
            assert set(wanted) == set(metadata.tables)
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
        require_schema(migrated)
        # Again it changes nothing.
        migrate(migrated)
        with pytest.raises(SettingsError, match="cartouche migrate"):
            require_schema(made)


def test_a_newer_schema_says_which_versions_it_keeps_working(urls: Callable[[], str]) -> None:
    with opened(urls()) as database:
        assert migrate(database)
        with database.write() as connection:
            mine = MigrationContext.configure(connection).get_current_revision()
            assert connection.scalar(select(compatibility.c.oldest_schema)) is not None
            connection.execute(text("UPDATE alembic_version SET version_num = '9998'"))
            connection.execute(compatibility.update().values(oldest_schema=mine))
        require_schema(database)
        assert not migrate(database)
        with database.write() as connection:
            connection.execute(compatibility.update().values(oldest_schema="9997"))
        for look in (require_schema, migrate):
            with pytest.raises(SettingsError, match="9998 of a newer version"):
                look(database)
        with database.read() as connection:
            assert MigrationContext.configure(connection).get_current_revision() == "9998"


def test_every_migration_says_what_it_works_with() -> None:
    config = Config()
    folder = Path(migrations.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    found = list(ScriptDirectory.from_config(config).walk_revisions())
    for script in found:
        if script.revision > "0005":
            assert "0006" <= script.module.WORKS_WITH <= script.revision, script.revision
    assert [script.revision for script in reversed(found)] == [
        f"{number:04}" for number in range(1, len(found) + 1)
    ]


def test_the_migrations_can_be_undone(urls: Callable[[], str]) -> None:
    config = Config()
    folder = Path(migrations.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    with opened(urls()) as database:
        migrate(database)
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "base")
        with database.write() as connection:
            assert schema(connection) == {}
        migrate(database)
        require_schema(database)


def test_a_size_of_an_older_measure_is_measured_again(urls: Callable[[], str]) -> None:
    wrong, right = (Content("key", 100, 1, "a" * 64, *size) for size in ((20, 10), (10, 20)))
    with opened(urls()) as database:
        migrate(database)
        organization_id = ensure_organization(database, "organization")
        names = ("first", "second")
        of = {name: create_dataset(database, organization_id, name, []).id for name in names}

        def put(name: str, content: Content) -> StoredImage:
            image = check_image("a.tif", "new", "", b"")
            (stored,) = put_images(database, organization_id, of[name], [(image, content)])
            return stored

        for name in names:
            put(name, wrong)
        known = find_contents(database, organization_id, [wrong.sha256])[0]
        assert known == {wrong.sha256: wrong}
        with database.write() as connection:
            connection.execute(contents.update().values(measure=MEASURE - 1))
        # So that the bytes are asked for, and measured.
        assert find_contents(database, organization_id, [wrong.sha256])[0] == {}
        corrected = put("first", right)
        assert (corrected.result, corrected.corrected_from) == (PutResult.updated, (20, 10))
        assert not corrected.is_replaced
        known = find_contents(database, organization_id, [wrong.sha256])[0]
        assert known == {wrong.sha256: right}
        assert put("first", right).result == PutResult.unchanged
        # Another dataset has it at its own next import.
        assert put("second", right).corrected_from == (20, 10)


@dataclass(frozen=True)
class Crowded:
    """A database of several organizations, each with a dataset and exports."""

    database: Database
    key: str
    organization_id: str
    dataset_id: str
    export_id: str


@pytest.fixture(scope="module")
def crowded(urls: Callable[[], str]) -> Iterator[Crowded]:
    """So many rows that no planner likes to read them all.

    It has one connection: a thread that needed a second one at the same time would be told.
    """
    with opened(urls(), pool_size=1) as database:
        migrate(database)
        made = [_fill(database, number) for number in range(DATASETS)]
        with database.write() as connection:
            row = connection.execute(exports.select()).mappings().one()
            # The first organization has one in a hundred.
            owners = [made[number % 9 + 1 if number % 100 else 0] for number in range(EXPORTS)]
            copies = [
                dict(row)
                | {
                    "id": str(uuid.uuid4()),
                    "name": f"copy {number}",
                    "organization_id": owner.organization_id,
                    "dataset_id": owner.dataset_id,
                    "status": Status.completed,
                    "stage": Stage.done,
                    "created_at": row["created_at"] - number,
                    "expires_at": row["created_at"] + 1000 + number,
                }
                for number, owner in enumerate(owners)
            ]
            connection.execute(exports.insert(), copies)
            if not database.is_sqlite:
                # As its autovacuum does; SQLite is never told.
                connection.execute(text("ANALYZE"))
        yield made[0]


def _fill(database: Database, number: int) -> Crowded:
    organization_id = ensure_organization(database, f"organization {number}")
    key = create_key(database, organization_id, Role.owner)
    classes = [DatasetClass("car"), DatasetClass("person")]
    dataset_id = create_dataset(database, organization_id, "dataset", classes).id
    put_images(
        database,
        organization_id,
        dataset_id,
        [
            (
                check_image(
                    f"{image}.jpg",
                    ("new", "complete")[image % 2],
                    "",
                    str([bbox(("car", "person")[image % 2])]).replace("'", '"').encode(),
                ),
                Content(f"{number}/{image}", 100, image, f"{image:064x}", 10, 10),
            )
            for image in range(IMAGES)
        ],
    )
    export_id = ""
    if number == 0:
        request = ExportRequest("dataset", "first", "coco")
        export_id = creation.create_export(
            database, organization_id, request, lambda _: b""
        ).export_id
    return Crowded(database, key, organization_id, dataset_id, export_id)


def _identity(c: Crowded) -> None:
    assert authenticate(c.database, c.key).organization_id == c.organization_id
    assert ensure_organization(c.database, "organization 3")


def _catalog(c: Crowded) -> None:
    assert get_dataset(c.database, c.organization_id, "dataset").image_count == IMAGES
    with pytest.raises(Exception, match="not found"):
        get_dataset(c.database, c.organization_id, "no name, so perhaps a slug")
    assert list_datasets(c.database, c.organization_id, 10, 0)[1] == 1
    assert find_contents(c.database, c.organization_id, [f"{1:064x}"])[0]


def _import(c: Crowded) -> None:
    changed = check_image("1.jpg", "review", "", b"")
    content = Content("1", 100, 1, f"{1:064x}", 10, 10)
    put_images(c.database, c.organization_id, c.dataset_id, [(changed, content)])


def _selections(c: Crowded) -> None:
    classes = [DatasetClass("car"), DatasetClass("person")]
    for class_filter in ((), ("car",), ("car", "person")):
        for status in ("", "new"):
            for include_unannotated in (False, True):
                selection = Selection.of(
                    c.dataset_id,
                    classes,
                    class_filter=class_filter,
                    status=status,
                    include_unannotated=include_unannotated,
                )
                with c.database.snapshot() as connection:
                    assert image_totals_of(connection, selection).image_count
                    assert shape_totals_of(connection, selection)
                    assert list(selected_images(connection, selection))


def _reading(c: Crowded) -> None:
    for address in (ExportAddress(id=c.export_id), ExportAddress("", "dataset", "first")):
        assert queries.get_export(c.database, c.organization_id, address).id == c.export_id
    for filters in (
        {},
        {"dataset_name": "dataset"},
        {"status": Status.completed},
        {"formats": ["coco"]},
        {"dataset_name": "dataset", "status": Status.completed, "formats": ["coco"]},
    ):
        found = queries.list_exports(c.database, c.organization_id, limit=5, **filters)
        assert len(found.exports) == 5


def _writing(c: Crowded) -> None:
    request = ExportRequest("dataset", str(uuid.uuid4()), "coco", idempotency_key=str(uuid.uuid4()))
    made = creation.create_export(c.database, c.organization_id, request, lambda _: b"")
    again = creation.create_export(c.database, c.organization_id, request, lambda _: b"")
    assert again.export_id == made.export_id
    queries.delete_export(c.database, c.organization_id, ExportAddress(id=made.export_id))
    queries.bulk_delete_exports(c.database, c.organization_id, [made.export_id, "other"])


def claim(c: Crowded, export_id: str) -> claims.Claim | None:
    """The next step of an export, past what other tests left."""
    while taken := claims.claim_next(c.database, tuple(Lane), LEASE, 64):
        if taken.export_id == export_id:
            return taken
        claims.abandon(c.database, taken)
    return None


def _planned(c: Crowded) -> str:
    """The id of an export of two segments that nobody has claimed."""
    request = ExportRequest("dataset", str(uuid.uuid4()), "coco")
    made = creation.create_export(c.database, c.organization_id, request, lambda _: b"").export_id
    plan = claim(c, made)
    assert isinstance(plan, claims.ExportClaim)
    assert plan.step is Step.plan
    assert progress.export_planned(
        c.database,
        plan,
        segments=[progress.PlannedSegment(number, "key", 1, 1) for number in (1, 2)],
        upload_id=None,
        snapshot={"classes": []},
        image_count=1,
        annotation_count=1,
    )
    return made


def _work(c: Crowded) -> None:
    made = _planned(c)
    for number, counted in ((1, progress.Counted.more), (2, progress.Counted.last)):
        taken = claim(c, made)
        assert isinstance(taken, claims.SegmentClaim)
        assert taken.number == number
        assert claims.renew(c.database, taken, LEASE)
        assert progress.segment_done(c.database, taken, {}) is counted
        assert progress.segment_done(c.database, taken, {}) is progress.Counted.lost
    assert list(progress.segment_results(c.database, made)) == [{}, {}]
    finish = claim(c, made)
    assert finish is not None
    assert claims.postpone(c.database, finish, Setback.store_unavailable) > 0
    assert endings.fail(c.database, c.organization_id, made, FAILURE, KEEPING)
    remove = claim(c, made)
    assert remove is not None
    assert remove.step is Step.remove
    claims.release(c.database, remove)
    claims.orphan_all(c.database)


def _sweep(c: Crowded) -> None:
    doorbell = Doorbell(connect_broker("memory://"))
    try:
        sweep(c.database, doorbell, Settings())
    finally:
        doorbell.close()


def _deletion(c: Crowded) -> None:
    name = uuid.uuid4().hex
    made = create_dataset(c.database, c.organization_id, name, [DatasetClass("car")])
    prefix = own_prefix(c.organization_id)
    put = [
        (check_image(f"{n}.jpg", "", "", b""), Content(f"{prefix}{n}", 1, 1, f"f{n:063x}", 1, 1))
        for n in range(3)
    ]
    put_images(c.database, c.organization_id, made.id, put)
    assert delete_images(c.database, c.organization_id, name, ["0.jpg", "x"]) == (["0.jpg"], ["x"])
    delete_dataset(c.database, c.organization_id, name)
    while purge(c.database, 3):
        pass
    _see(c.database)
    assert list(_owners(c.database)) == [c.organization_id]
    while _condemn(c.database, c.organization_id, timedelta()):
        pass
    _known_objects(c.database, {f"{prefix}1": f"f{1:063x}"})


@contextmanager
def noted(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that a block sends, with their parameters; of many, the first."""
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        first = parameters[0] if many and not isinstance(parameters, dict) else parameters
        statements.append((statement, first))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_a_page_of_datasets_is_two_queries(crowded: Crowded) -> None:
    database = crowded.database
    organization_id = ensure_organization(database, "of many datasets")
    for number in range(DATASETS):
        made = create_dataset(database, organization_id, f"{number}", [DatasetClass("car")])
        annotations = json.dumps([bbox("car")] * number).encode()
        put = [
            (
                check_image(f"{image}.jpg", IMAGE_STATUSES[image % 4], "", annotations),
                Content("1", 100, 1, f"{1:064x}", 10, 10),
            )
            for image in range(number)
        ]
        put_images(database, organization_id, made.id, put)
    counts = [(number, number**2) for number in range(DATASETS)]
    for limit, offset in ((1, 0), (4, 3), (100, 0), (100, DATASETS), (1, 2**31 - 1)):
        with noted(database) as statements:
            page, total = list_datasets(database, organization_id, limit, offset)
        # SQLite is sent its BEGIN too.
        assert len([said for said, _ in statements if said != "BEGIN"]) == 2
        assert total == DATASETS
        assert [(found.image_count, found.annotation_count) for found in page] == (
            counts[offset : offset + limit]
        )
        for found in page:
            assert found == get_dataset(database, organization_id, found.name)


@pytest.mark.parametrize(
    "use", [_identity, _catalog, _import, _selections, _reading, _writing, _work, _deletion, _sweep]
)
def test_every_query_has_an_index(crowded: Crowded, use: Callable[[Crowded], None]) -> None:
    with noted(crowded.database) as statements:
        use(crowded)
    asked = {
        statement: parameters
        for statement, parameters in statements
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH"))
    }
    assert asked
    explain = _scans_of_sqlite if crowded.database.is_sqlite else _scans_of_postgresql
    with crowded.database.write() as connection:
        found = {
            statement: scans
            for statement, parameters in asked.items()
            if (scans := explain(connection, statement, parameters))
        }
    assert found == {}


def test_a_claim_waits_for_a_deletion_under_way(crowded: Crowded) -> None:
    """Else the objects of a deleted export would be removed while somebody makes new ones."""
    made = _planned(crowded)
    with ThreadPoolExecutor(1) as pool, opened(crowded.database.url) as other:
        with other.write() as connection:
            claims.lock_turn(connection, crowded.organization_id)
            queries.hide(connection, crowded.organization_id, [made])
            claimed = pool.submit(claims.claim_next, crowded.database, tuple(Lane), LEASE, 64)
            with pytest.raises(TimeoutError):
                claimed.result(timeout=0.3)
        taken = claimed.result(timeout=30)
    # Other exports of the crowd may be due.
    assert taken is None or taken.export_id != made or taken.step is Step.remove


def test_an_import_under_way_keeps_no_export_waiting(postgresql: PostgreSQL) -> None:
    url = postgresql.create_database().replace("postgresql:", "postgresql+psycopg:", 1)
    with opened(url) as database, ThreadPoolExecutor(1) as pool:
        migrate(database)
        made = _fill(database, 1)
        with database.write() as importing:
            # It has given numbers out, and changed the dataset's row.
            append_classes(importing, made.dataset_id, [DatasetClass("bicycle")])
            created = pool.submit(
                creation.create_export,
                database,
                made.organization_id,
                ExportRequest("dataset", "meanwhile", "coco"),
                lambda _: b"",
            )
            assert created.result(timeout=5).lane is not None
            # A second import waits for its turn all the same.
            with pytest.raises(Unavailable, match="busy"), database.write() as second:
                append_classes(second, made.dataset_id, [])


def _scans_of_sqlite(connection: Connection, statement: str, parameters: Any) -> list[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
    return [row.detail for row in rows if _scanned(r"SCAN (\w+)", row.detail)]


def _scans_of_postgresql(connection: Connection, statement: str, parameters: Any) -> list[str]:
    # As PostgreSQL would do it with these rows; a table of a page or two it reads at once.
    chosen = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
    large = [line for line in chosen if re.search(r"Seq Scan on (images|exports)\b", line)]
    # As it would do it with more rows everywhere.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    forced = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
    connection.exec_driver_sql("SET LOCAL enable_seqscan = on")
    return large + [line for line in forced if _scanned(r"Seq Scan on (\w+)", line)]


def _scanned(pattern: str, line: str) -> bool:
    found = re.search(pattern, line)
    return found is not None and found[1] in metadata.tables


def test_classes_are_completed_by_what_comes_in(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'classes.sqlite'}") as database:
        migrate(database)
        made = _fill(database, 1)
        colour, age = ClassAttribute("colour"), ClassAttribute("age", "number")
        pose = DatasetClass(
            "fly",
            "keypoint",
            attributes=(colour,),
            skeleton=Skeleton((SkeletonNode("head"), SkeletonNode("tail"))),
        )
        many = tuple(ClassAttribute(f"a{number}") for number in range(200))
        wanted = (
            DatasetClass("head", "keypoint", attributes=(age, colour)),
            DatasetClass("crowded", attributes=(*many, ClassAttribute("x" * 121))),
        )
        with database.write() as connection:
            append_classes(connection, made.dataset_id, [pose])
            first = append_classes(connection, made.dataset_id, wanted)
            # Neither a second type nor another group changes what is declared.
            other = replace(wanted[0], attributes=(ClassAttribute("age"),), supercategory="part")
            second = append_classes(connection, made.dataset_id, [other])
            assert append_classes(connection, made.dataset_id, [other, *wanted]) == second
    found = {item.name: item for item in first}
    assert found["fly"].attributes == (colour, age)
    assert found["head"].attributes == (age, colour)
    assert len(found["crowded"].attributes) == 100
    assert {item.name: item for item in second}["head"] == replace(wanted[0], supercategory="part")
