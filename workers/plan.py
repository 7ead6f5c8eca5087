"""plan_export: freezes the selection, and cuts it into segments."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from services.catalog import selection
from services.catalog.datasets import classes_of
from services.catalog.limits import MAX_DOCUMENT
from services.catalog.selection import ImageTotals, Selection
from services.database.engine import Transaction
from services.exports.claims import ExportClaim
from services.exports.earlier import earlier_export
from services.exports.model import ErrorCode, archive_key, staging_prefix
from services.exports.progress import PlannedSegment
from services.formats import manifest
from services.formats.common.export import ExportImage, ExportInfo
from services.formats.registry import FORMATS
from services.work_version import TEXT_APART
from workers.archive.segments import MIN_PART, part_size
from workers.budget import LARGE, STEP, Share, needs
from workers.context import WorkerContext
from workers.earlier_archive import EarlierArchive
from workers.entry_names import EntryNames, clash, names_bytes
from workers.export_info import export_info
from workers.failures import PermanentFailure
from workers.leases import Held
from workers.segment import build_text, text_bytes
from workers.segment_manifest import (
    Block,
    PlannedImage,
    blocks,
    planned_image,
)
from workers.segment_planning import SegmentPlanner
from workers.segment_text import documents
from workers.stages import Stage, stage
from workers.staging import MemoryStaging, OutOfRoom, StagingBehind, StoreStaging, stage_of
from workers.versions import made_with

#: Images that an export has at most to be built in memory, however small they are, and bytes of
#: images and text.
SMALL_IMAGES = 2_000
SMALL_BYTES = 4 * 1024 * 1024
#: Bytes of deflated text, reckoned, that an export of annotations alone has at most to be built in
#: memory while it is read: 25,000 images with ten boxes, which are one second of COCO. In segments
#: it would take a third more work.
AT_ONCE = 32 * 1024 * 1024
#: Of them for each image, beside its names and half the bytes of its annotations: headers and
#: records of its files, and its row of the manifest; and for all of them together.
_IMAGE_TEXT = 512
_LEAST_TEXT = 64 * 1024
#: Seconds until the database gives the next images of a selection, which it may have to sort.
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class SmallPlan:
    """An export of one segment: built at once, in memory, by the task that planned it."""

    claim: ExportClaim
    blocks: list[Block]


@dataclass(frozen=True, slots=True)
class BuiltText:
    """An export of annotations alone whose text was built while it was read."""

    claim: ExportClaim
    results: list[dict[str, Any]]
    staging: MemoryStaging


@dataclass(frozen=True, slots=True)
class SegmentedPlan:
    """An export whose segments lie ready for the builders."""

    segments: list[PlannedSegment]
    upload_id: str
    snapshot: dict[str, Any]
    image_count: int
    annotation_count: int
    #: How many archives in a row are copied from one another to this one.
    generation: int


def plan(
    context: WorkerContext, held: Held, share: Share, claim: ExportClaim
) -> SmallPlan | BuiltText | SegmentedPlan:
    """Reads the selection in one snapshot, and writes segment manifests unless it is small; text
    alone is built at once while it is read, where it fits in memory.

    Raises:
        PermanentFailure: the selection has no image, or its dataset was deleted.
        StorageError, Unavailable: as the store and the database say.
        ClaimLost: the work is for nothing.
    """
    with stage("plan") as made:
        earlier = _earlier(context, held, share, claim)
        return _planned(context, held, share, claim, earlier, made)


def _planned(
    context: WorkerContext,
    held: Held,
    share: Share,
    claim: ExportClaim,
    earlier: EarlierArchive | None,
    made: Stage,
) -> SmallPlan | BuiltText | SegmentedPlan:
    with context.database.snapshot(_PATIENCE) as connection:
        classes = classes_of(connection, claim.dataset_id)
        if classes is None:
            raise PermanentFailure(
                ErrorCode.dataset_deleted,
                f"Dataset {claim.dataset_name!r} was deleted before the export was begun, and its "
                "images with it. Import it again under any name, then create a new export.",
            )
        claim = replace(claim, classes=classes)
        info = export_info(claim)
        chosen = Selection.of(
            claim.dataset_id,
            claim.classes,
            class_filter=info.class_filter,
            status=info.status_filter,
            include_unannotated=info.include_unannotated,
        )
        totals = selection.image_totals_of(connection, chosen)
        if totals.image_count == 0:
            raise _empty(info)
        annotation_count = sum(
            found.annotation_count for found in selection.shape_totals_of(connection, chosen)
        )
        known = totals.annotation_bytes + (totals.image_bytes if info.include_images else 0)
        made.bytes = known
        parsed = _is_doubtful(chosen, info) and totals.annotation_bytes > LARGE
        # Annotations are parsed to tell what is selected.
        needed = needs(MAX_DOCUMENT if parsed else 0) + names_bytes(2 * totals.image_count)
        needed += earlier.memory if earlier is not None else 0
        needed = max(share.size, needed)
        text = reckoned_text(totals)
        # Beside it there is room for another step.
        fits = needed + text <= context.budget.room - STEP
        if fits and text <= AT_ONCE and not info.include_images:
            share.resize(needed + text, held.check)
            built = _built(held, connection, chosen, info, text)
            if built is not None:
                return BuiltText(claim, *built)
        share.resize(needed, held.check)
        names = EntryNames(_document_paths(info))
        images = _named(_images(connection, chosen, info), info, names)
        small = min(SMALL_BYTES, context.settings.part_size)
        if known <= small and totals.image_count <= SMALL_IMAGES:
            found = list(blocks(images, info.include_images))
            if not found:
                raise _empty(info)
            _prove(names, _images(connection, chosen, info), info)
            largest = max(len(planned.image.annotations) for block in found for planned in block)
            share.resize(max(share.size, needs(largest)), held.check)
            return SmallPlan(claim, found)
        size = part_size(known, context.settings.part_size)
        version = context.settings.work_version
        staging = StoreStaging(
            context.store, staging_prefix(claim.organization_id, claim.export_id)
        )
        # The next images come from the database while the manifests of the last ones are stored.
        with context.store.write_behind() as writes:
            planner = SegmentPlanner(
                StagingBehind(staging, writes),
                stage_of(claim),
                info,
                version,
                image_bytes=totals.image_bytes if info.include_images else 0,
                text_bytes=totals.annotation_bytes,
                size=size,
                earlier=earlier,
            )
            for block in blocks(images, info.include_images):
                held.check()
                planner.add(block)
            segments = planner.segments()
        _prove(names, _images(connection, chosen, info), info)
    if not segments:
        raise _empty(info)
    return SegmentedPlan(
        segments=segments,
        upload_id=context.store.create_upload(archive_key(claim.organization_id, claim.export_id)),
        snapshot={
            "classes": [item.to_json() for item in claim.classes],
            "part_size": size,
            "version": version,
            **made_with(claim.format),
            "cartouche_version": info.cartouche_version,
        },
        image_count=totals.image_count,
        annotation_count=annotation_count,
        generation=1 + earlier.generation if earlier is not None and _copies(segments) else 0,
    )


def reckoned_text(totals: ImageTotals) -> int:
    """Bytes of deflated text, with the records of its entries, in any format: more than there were
    in every one of them, of boxes, polygons and keypoints, and of images with nothing on them."""
    own = _IMAGE_TEXT * totals.image_count + 2 * totals.path_bytes
    return _LEAST_TEXT + own + totals.annotation_bytes // 2


def _built(
    held: Held, connection: Transaction, chosen: Selection, info: ExportInfo, room: int
) -> tuple[list[dict[str, Any]], MemoryStaging] | None:
    """What `build_text` makes of the selection, in so many bytes of memory; None: it takes more, or
    an image has annotations that do.

    Raises: as `_planned`.
    """
    names = EntryNames(_document_paths(info))
    images = _named(_images(connection, chosen, info), info, names)
    staging = MemoryStaging(room)
    try:
        with stage("text") as made:
            results = build_text(held, _bounded(blocks(images, False)), info, staging, "")
            made.bytes = text_bytes(results)
    except OutOfRoom:
        return None
    if not results[0]["image_count"]:
        raise _empty(info)
    _prove(names, _images(connection, chosen, info), info)
    return results, staging


def _bounded(found: Iterable[Block]) -> Iterator[Block]:
    """The blocks, as long as no image has large annotations.

    Raises:
        OutOfRoom: one has.
    """
    for block in found:
        if max(len(planned.image.annotations) for planned in block) > LARGE:
            raise OutOfRoom
        yield block


def _copies(segments: Iterable[PlannedSegment]) -> bool:
    """Whether anything is copied."""
    return any(segment.source is not None for segment in segments)


def _earlier(
    context: WorkerContext, held: Held, share: Share, claim: ExportClaim
) -> EarlierArchive | None:
    """An archive of which images may be copied; None: there is none."""
    settings = context.settings
    if not (claim.include_images and settings.copy_generations):
        return None
    if settings.work_version < TEXT_APART:
        return None
    layout_version = FORMATS[claim.format].layout_version
    found = earlier_export(
        context.database, claim, layout_version, settings.copy_generations, 2 * MIN_PART
    )
    if found is None:
        return None

    def take(memory: int) -> None:
        share.resize(max(share.size, needs(0) + memory), held.check)

    return EarlierArchive.read(context.store, found, take, held.check)


def _images(connection: Transaction, chosen: Selection, info: ExportInfo) -> Iterator[PlannedImage]:
    doubtful = _is_doubtful(chosen, info)
    for selected in selection.selected_images(connection, chosen):
        planned = planned_image(selected)
        if not doubtful or planned.image.selected(info):
            yield planned


def _is_doubtful(chosen: Selection, info: ExportInfo) -> bool:
    """Whether only the annotations of an image tell whether it is selected."""
    return chosen.is_doubtful and not info.include_unannotated


def _document_paths(info: ExportInfo) -> Iterator[str]:
    yield manifest.README_PATH
    for document in documents(info):
        yield document.path


def _entry_paths(image: ExportImage, info: ExportInfo) -> Iterator[str]:
    writer = FORMATS[info.format].writer
    if info.include_images:
        yield writer.image_path(image, info)
    yield from writer.file_paths(image, info)


def _named(
    images: Iterable[PlannedImage], info: ExportInfo, names: EntryNames
) -> Iterator[PlannedImage]:
    """The images, whose entries are noted as they pass."""
    for planned in images:
        for path in _entry_paths(planned.image, info):
            names.add(path)
        yield planned


def _prove(names: EntryNames, images: Iterable[PlannedImage], info: ExportInfo) -> None:
    """That the entries noted in `names`, of these images, have names of their own.

    Raises:
        PermanentFailure: two have not. Names are made so that this cannot be
            (`services.catalog.names`), but for datasets that an older version imported.
    """
    suspects = names.suspects()
    if not suspects:
        return
    paths = (path for planned in images for path in _entry_paths(planned.image, info))
    found = clash(chain(_document_paths(info), paths), suspects)
    if found is not None:
        raise PermanentFailure(
            ErrorCode.names_clash,
            f"The archive would hold {found[0]!r} and {found[1]!r}, of which unpacking would lose "
            "one. Import one of the images under another path, then retry the export with fresh.",
        )


def _empty(info: ExportInfo) -> PermanentFailure:
    filters = []
    if info.status_filter:
        filters.append(f"the status {info.status_filter!r}")
    if info.class_filter:
        filters.append(f"annotations of {', '.join(map(repr, info.class_filter))}")
    what = f"no image with {' and '.join(filters)}" if filters else "no image"
    return PermanentFailure(
        ErrorCode.selection_empty,
        f"The selection is empty: dataset {info.dataset_name!r} has {what}. "
        "Import images or widen the filters, then retry the export.",
    )
