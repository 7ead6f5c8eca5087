"""Datasets: made, found, listed."""

import re
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Row, and_, func, select
from sqlalchemy.exc import IntegrityError

from services.catalog.model import (
    ATTRIBUTE_TYPES,
    CLASS_TYPES,
    MAX_CLASSES,
    ClassAttribute,
    DatasetClass,
    Skeleton,
)
from services.database.clock import now
from services.database.engine import Database
from services.database.tables import datasets, image_totals
from services.errors import AlreadyExists, Invalid, NotFound
from services.texts import control_error, quoted

MAX_NAME = 100
#: Characters of the name of a class, an attribute or a joint.
MAX_CLASS_NAME = 120
MAX_COLOR = 32
MAX_ATTRIBUTES = 100
MAX_CHOICES = 1_000
#: Characters of a choice.
MAX_CHOICE = 255
MAX_NODES = 1_000

#: The name of a dataset, of one that was deleted too: its exports keep it.
DATASET_NAME = func.coalesce(datasets.c.deleted_name, datasets.c.name)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset with its classes in order and its totals."""

    id: str
    organization_id: str
    name: str
    slug: str
    classes: tuple[DatasetClass, ...]
    image_count: int
    annotation_count: int
    created_at: float


def name_error(name: str) -> str | None:
    """What keeps `name` from naming a dataset or an export; None: nothing.

    HTTP clients normalise `.` and `..` away, and no client can send control characters,
    so such a name could never be addressed again.
    """
    if not name.strip():
        return "give a name of 1 to 100 characters"
    if len(name) > MAX_NAME:
        return f"is {len(name)} characters long; at most {MAX_NAME} are allowed"
    if name in (".", ".."):
        return "'.' and '..' cannot be addressed in a URL; choose another name"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "control characters cannot be addressed in a URL; leave them out"
    return None


def slug_of(name: str) -> str:
    """The name in lower case with hyphens, as the page's `dataset_name` is written."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[^\w]+", "-", plain).strip("-")[:MAX_NAME]


def check_classes(classes: Sequence[DatasetClass], others: int = 0) -> None:
    """Checks classes that come to a dataset which has `others` already.

    Raises:
        Invalid: they are too many, or one is malformed or named twice.
    """
    if len(classes) + others > MAX_CLASSES:
        raise Invalid.of("classes", f"at most {MAX_CLASSES} classes are allowed")
    seen: set[str] = set()
    for index, item in enumerate(classes):
        field = f"classes[{index}]"
        if not item.name.strip():
            raise Invalid.of(f"{field}.name", f"give a name of 1 to {MAX_CLASS_NAME} characters")
        _at_most(f"{field}.name", item.name, MAX_CLASS_NAME)
        if problem := control_error(item.name):
            raise Invalid.of(f"{field}.name", problem)
        if item.name in seen:
            raise Invalid.of(f"{field}.name", f"{quoted(item.name)} is there twice")
        seen.add(item.name)
        if item.type not in CLASS_TYPES:
            raise Invalid.of(f"{field}.type", f"must be one of {', '.join(CLASS_TYPES)}")
        if len(item.color) > MAX_COLOR or not item.color.isprintable():
            raise Invalid.of(
                f"{field}.color",
                f"give #rrggbb or another name of a colour, of at most {MAX_COLOR} characters",
            )
        _at_most(f"{field}.supercategory", item.supercategory, MAX_CLASS_NAME)
        _check_attributes(f"{field}.attributes", item.attributes)
        if item.skeleton is not None:
            if item.type != "keypoint" or not item.skeleton.nodes:
                raise Invalid.of(f"{field}.skeleton", "only keypoint classes have one, with nodes")
            _check_skeleton(f"{field}.skeleton", item.skeleton)


def _check_attributes(field: str, attributes: Sequence[ClassAttribute]) -> None:
    _at_most(field, attributes, MAX_ATTRIBUTES)
    for index, attribute in enumerate(attributes):
        _at_most(f"{field}[{index}].name", attribute.name, MAX_CLASS_NAME)
        if attribute.type not in ATTRIBUTE_TYPES:
            raise Invalid.of(field, f"types are {', '.join(ATTRIBUTE_TYPES)}")
        _at_most(f"{field}[{index}].values", attribute.values, MAX_CHOICES)
        for number, choice in enumerate(attribute.values):
            _at_most(f"{field}[{index}].values[{number}]", choice, MAX_CHOICE)


def _check_skeleton(field: str, skeleton: Skeleton) -> None:
    nodes = len(skeleton.nodes)
    _at_most(f"{field}.nodes", skeleton.nodes, MAX_NODES)
    for index, node in enumerate(skeleton.nodes):
        _at_most(f"{field}.nodes[{index}].name", node.name, MAX_CLASS_NAME)
    if len({node.name for node in skeleton.nodes}) != nodes:
        raise Invalid.of(f"{field}.nodes", "each node needs a name of its own")
    if any(not (0 <= a < nodes and 0 <= b < nodes) for a, b in skeleton.edges):
        raise Invalid.of(f"{field}.edges", f"indexes go from 0 to {nodes - 1}")


def _at_most(field: str, value: str | Sequence[object], limit: int) -> None:
    if len(value) > limit:
        unit = "characters" if isinstance(value, str) else "items"
        raise Invalid.of(field, f"has {len(value)} {unit}; at most {limit} are allowed")


def create_dataset(
    database: Database, organization_id: str, name: str, classes: Sequence[DatasetClass]
) -> Dataset:
    """Makes an empty dataset.

    Raises:
        Invalid: the name or a class is malformed.
        AlreadyExists: the organization has a dataset of this name.
    """
    if problem := name_error(name):
        raise Invalid.of("name", problem)
    check_classes(classes)
    dataset_id = str(uuid.uuid4())
    try:
        with database.write() as connection:
            connection.execute(
                datasets.insert().values(
                    id=dataset_id,
                    organization_id=organization_id,
                    name=name,
                    slug=slug_of(name),
                    classes=[item.to_json() for item in classes],
                    created_at=now(),
                )
            )
    except IntegrityError:
        raise AlreadyExists(
            "DATASET_EXISTS",
            f"A dataset called {name!r} exists already; choose another name.",
            {"dataset_name": name},
        ) from None
    with database.read() as connection:
        return find_dataset(connection, organization_id, name)


def find_dataset(connection: Connection, organization_id: str, name: str) -> Dataset:
    """The dataset of this name or, where no name fits, of this slug; without its totals.

    Raises:
        NotFound: the organization has no such dataset, or several of this slug.
    """
    mine = select(datasets).where(
        datasets.c.organization_id == organization_id, datasets.c.deleted_name.is_(None)
    )
    row = connection.execute(mine.where(datasets.c.name == name)).one_or_none()
    if row is None:
        by_slug = connection.execute(mine.where(datasets.c.slug == name).limit(2)).all()
        if len(by_slug) != 1:
            raise NotFound(
                "DATASET_NOT_FOUND",
                f"Dataset {quoted(name)} was not found. Names are case-sensitive; check the name "
                "and that the API key belongs to the right organization.",
                {"dataset_name": name},
            )
        row = by_slug[0]
    return _dataset(row, 0, 0)


def get_dataset(database: Database, organization_id: str, name: str) -> Dataset:
    """One dataset with its totals.

    Raises:
        NotFound: the organization has no such dataset.
    """
    with database.read() as connection:
        found = find_dataset(connection, organization_id, name)
        image_count, annotation_count = _totals_of(connection, [found.id]).get(found.id, (0, 0))
    return replace(found, image_count=image_count, annotation_count=annotation_count)


def list_datasets(
    database: Database, organization_id: str, limit: int, offset: int
) -> tuple[list[Dataset], int]:
    """A page of the organization's datasets by name, and how many there are."""
    mine = and_(datasets.c.organization_id == organization_id, datasets.c.deleted_name.is_(None))
    count = select(func.count()).select_from(datasets).where(mine)
    page = (
        select(datasets, count.scalar_subquery().label("total"))
        .where(mine)
        .order_by(datasets.c.name)
        .limit(limit)
        .offset(offset)
    )
    with database.read() as connection:
        rows = connection.execute(page).all()
        if not rows:
            # Behind the last one.
            return [], connection.scalar(count) or 0
        totals = _totals_of(connection, [row.id for row in rows])
    return [_dataset(row, *totals.get(row.id, (0, 0))) for row in rows], rows[0].total


def lock_dataset(connection: Connection, dataset_id: str) -> tuple[DatasetClass, ...]:
    """The classes of a dataset, whose row stays locked until the transaction ends.

    The lock leaves alone who only refers to the dataset: an export is created meanwhile.

    Raises:
        NotFound: it was deleted.
    """
    locked = (
        select(datasets.c.classes)
        .where(datasets.c.id == dataset_id, datasets.c.deleted_name.is_(None))
        .with_for_update(key_share=True)
    )
    classes = connection.scalar(locked)
    if classes is None:
        raise NotFound("DATASET_DELETED", "The dataset was deleted meanwhile.")
    return tuple(DatasetClass.from_json(value) for value in classes)


def append_classes(
    connection: Connection, dataset_id: str, wanted: Sequence[DatasetClass]
) -> tuple[DatasetClass, ...]:
    """The dataset's classes after appending those of `wanted` that it lacks, and completing
    the others: with attributes that they do not declare, as far as there is room, and with a
    supercategory where they have none. A pose has the attributes of its joints.

    The row stays locked until the transaction ends, so numbers given out in it are unique.

    Raises:
        Invalid: a class is malformed, or they are too many.
        NotFound: the dataset was deleted.
    """
    current = lock_dataset(connection, dataset_id)
    given = {item.name: item for item in wanted}
    known = {item.name for item in current}
    # Attributes are declared as far as they fit: too many are no reason to refuse an image.
    missing = [replace(item, attributes=()) for item in wanted if item.name not in known]
    check_classes(missing, others=len(current))
    classes = tuple(_completed(item, given) for item in (*current, *missing))
    if classes == current:
        return current
    connection.execute(
        datasets.update()
        .where(datasets.c.id == dataset_id)
        .values(classes=[item.to_json() for item in classes])
    )
    return classes


def _completed(item: DatasetClass, given: Mapping[str, DatasetClass]) -> DatasetClass:
    own = given.get(item.name)
    if own is None and item.skeleton is None:
        return item
    sources = [own] if own else []
    if item.skeleton:
        sources += [given[node.name] for node in item.skeleton.nodes if node.name in given]
    declared = {attribute.name for attribute in item.attributes}
    attributes = list(item.attributes)
    for attribute in (attribute for source in sources for attribute in source.attributes):
        if (
            attribute.name not in declared
            and len(attributes) < MAX_ATTRIBUTES
            and 0 < len(attribute.name) <= MAX_CLASS_NAME
        ):
            declared.add(attribute.name)
            attributes.append(attribute)
    supercategory = item.supercategory or (own.supercategory if own else "")
    if len(attributes) == len(item.attributes) and supercategory == item.supercategory:
        return item
    return replace(item, attributes=tuple(attributes), supercategory=supercategory)


def _totals_of(connection: Connection, dataset_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Images and annotations of datasets that have some."""
    rows = connection.execute(
        select(
            image_totals.c.dataset_id,
            func.sum(image_totals.c.image_count),
            func.sum(image_totals.c.annotation_count),
        )
        .where(image_totals.c.dataset_id.in_(dataset_ids))
        .group_by(image_totals.c.dataset_id)
    )
    return {dataset_id: (int(images), int(annotations)) for dataset_id, images, annotations in rows}


def _dataset(row: Row[tuple[object, ...]], image_count: int, annotation_count: int) -> Dataset:
    return Dataset(
        row.id,
        row.organization_id,
        row.name,
        row.slug,
        tuple(DatasetClass.from_json(value) for value in row.classes),
        image_count,
        annotation_count,
        row.created_at,
    )


def classes_of(connection: Connection, dataset_id: str) -> tuple[DatasetClass, ...] | None:
    """The classes of a dataset, in order; None: it was deleted."""
    values = connection.scalar(
        select(datasets.c.classes).where(
            datasets.c.id == dataset_id, datasets.c.deleted_name.is_(None)
        )
    )
    if values is None:
        return None
    return tuple(DatasetClass.from_json(value) for value in values)
