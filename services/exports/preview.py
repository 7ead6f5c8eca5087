"""What an export would hold, without making it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.catalog import selection
from services.catalog.datasets import Dataset, find_dataset
from services.catalog.selection import Selection, ShapeTotals
from services.database.engine import Database, Transaction
from services.errors import NotFound
from services.exports.forecast import ExpectedLoss, forecast
from services.exports.model import ExportAddress, ExportRequest
from services.exports.queries import find_export
from services.exports.sizes import estimated_size
from services.exports.validation import class_errors, field_errors, invalid
from services.formats.common.losses import Kind
from services.texts import listed


@dataclass(frozen=True, slots=True)
class Preview:
    """What an archive would hold. `…_at_most`: it may hold fewer."""

    image_count: int
    image_count_at_most: bool
    annotation_count: int
    annotation_count_at_most: bool
    #: Bytes.
    estimated_size: int
    #: Selected annotations by class, in the dataset's class order.
    classes: tuple[tuple[str, int], ...]
    losses: tuple[ExpectedLoss, ...]
    notes: tuple[str, ...]

    @property
    def warnings(self) -> dict[str, int]:
        """The sums of the losses by kind."""
        sums = Counter(dict.fromkeys(Kind, 0))
        for loss in self.losses:
            sums[loss.kind] += loss.count
        return {kind.value: count for kind, count in sums.items()}


def preview_export(database: Database, organization_id: str, request: ExportRequest) -> Preview:
    """What `create_export` would make of the request, whose name may be empty.

    Reads totals that are kept beside the images, in one snapshot, and no annotation.

    Raises:
        Invalid: fields are wrong; it names each and lists what is valid.
        NotFound: the organization has no such dataset.
    """
    fields = field_errors(request)
    if not request.name:
        fields.pop("name", None)
    if "dataset_name" in fields:
        raise invalid(fields)
    with database.snapshot() as connection:
        dataset = find_dataset(connection, organization_id, request.dataset_name)
        fields |= class_errors(request, dataset.classes)
        if fields:
            raise invalid(fields)
        chosen = Selection.of(
            dataset.id,
            dataset.classes,
            class_filter=request.class_filter,
            status=request.status_filter,
            include_unannotated=request.include_unannotated,
        )
        images = selection.image_totals_of(connection, chosen)
        shapes = selection.shape_totals_of(connection, chosen)
        notes = _name_notes(connection, organization_id, request)
    expected = forecast(request.format, dataset.classes, chosen, images, shapes)
    if not images.image_count:
        notes.append(_empty_note(dataset, request))
    elif chosen.is_doubtful:
        notes.append(_DOUBTFUL_NOTE)
    return Preview(
        image_count=images.image_count,
        image_count_at_most=chosen.is_doubtful and not chosen.include_unannotated,
        annotation_count=expected.annotation_count,
        annotation_count_at_most=expected.annotations_at_most,
        estimated_size=estimated_size(
            request.format,
            images,
            sum(found.annotation_count for found in shapes),
            expected.annotation_count,
            include_images=request.include_images,
        ),
        classes=_class_counts(dataset, chosen, shapes),
        losses=expected.losses,
        notes=(*notes, *(expected.notes if images.image_count else ())),
    )


_DOUBTFUL_NOTE = (
    "A class with a skeleton takes its joints along, which are named for other classes: only the "
    "export finds out which joints are its own."
)


def _name_notes(connection: Transaction, organization_id: str, request: ExportRequest) -> list[str]:
    if not request.name:
        return []
    try:
        find_export(
            connection,
            organization_id,
            ExportAddress(dataset_name=request.dataset_name, name=request.name),
        )
    except NotFound:
        return []
    return [
        f"The dataset has an export called {request.name!r} already; choose another name, or "
        "delete that export first."
    ]


def _empty_note(dataset: Dataset, request: ExportRequest) -> str:
    filters = []
    if request.status_filter:
        filters.append(f"the status {request.status_filter!r}")
    if request.class_filter and not request.include_unannotated:
        filters.append(f"annotations of {listed(request.class_filter, len(request.class_filter))}")
    what = f"no image with {' and '.join(filters)}" if filters else "no image"
    return (
        f"The selection is empty: dataset {dataset.name!r} has {what}. Import images or widen the "
        "filters; an export of it would fail."
    )


def _class_counts(
    dataset: Dataset, chosen: Selection, shapes: Sequence[ShapeTotals]
) -> tuple[tuple[str, int], ...]:
    """Every class that the filter takes; of the joints' classes those that occur."""
    counts: Counter[int] = Counter()
    for found in shapes:
        counts[found.class_id] += found.annotation_count
    return tuple(
        (item.name, counts[class_id])
        for class_id, item in enumerate(dataset.classes)
        if class_id in counts or not chosen.class_ids or class_id in chosen.named_class_ids
    )
