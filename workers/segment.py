"""build_segment: from a manifest to a part of the archive and its staged text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.exports.claims import SegmentClaim
from services.exports.model import WORK_VERSION, archive_key, staging_prefix
from services.formats.common.export import ExportInfo
from workers.archive.segments import MIN_PART
from workers.context import WorkerContext
from workers.export_info import export_info
from workers.image_entries import ImageEntries, KnownSums
from workers.leases import Held
from workers.segment_manifest import Block, manifest_objects, read_blocks
from workers.segment_text import SegmentText
from workers.stages import stage
from workers.staging import Staging, StoreStaging, stage_of
from workers.versions import check_maker

#: Bytes of deflated text that a segment keeps in memory before it stages them.
TEXT_PIECE = 4 * 1024 * 1024


def build_segment(context: WorkerContext, held: Held, claim: SegmentClaim) -> dict[str, Any]:
    """Builds one segment; returns what the finish step must know of it.

    Raises:
        ImageUnusable: an image is missing or not what was imported.
        UploadNotFound, StorageError: as the store says.
        OtherMaker, NewerWork: another worker must build it.
        ClaimLost: the work is for nothing.
    """
    export = claim.export
    check_maker(export)
    prefix = staging_prefix(export.organization_id, export.export_id)
    info = export_info(export)
    store = context.store
    staging = StoreStaging(store, prefix)

    def blocks(*, with_annotations: bool = True) -> Iterator[Block]:
        for key in manifest_objects(claim.manifest_key):
            yield from read_blocks(staging.stream(key), with_annotations=with_annotations)

    # A part's sum is known before its first byte, and goes ahead of it.
    known = KnownSums()
    is_part = info.include_images and claim.size >= MIN_PART
    counted = known.of(blocks(), info) if is_part else blocks()
    with stage("text") as made:
        first, *more = build_text(held, counted, info, staging, stage_of(claim))
        made.bytes = text_bytes((first, *more))
    result = {"version": WORK_VERSION, **first}
    if more:
        result["more"] = more
    if not info.include_images:
        return result
    # Hundreds of images are read ahead, which must not hold their annotations.
    images = (planned for block in blocks(with_annotations=False) for planned in block)
    entries = ImageEntries(store, images, info, held)
    if not is_part:
        # Too short for a part of its own: finish streams it.
        stage_images(entries, staging, result)
        return result
    assert export.upload_id is not None
    with stage("images") as made:
        etag = store.upload_part(
            archive_key(export.organization_id, export.export_id),
            export.upload_id,
            claim.number,
            claim.size,
            known.holding(entries),
            known.crc32,
        )
        made.bytes = entries.length
    result["part"] = {
        "number": claim.number,
        "etag": etag,
        "length": entries.length,
        "crc32": entries.crc32,
    }
    _stage_records(entries, staging, result)
    return result


def build_text(
    held: Held, blocks: Iterable[Block], info: ExportInfo, staging: Staging, prefix: str
) -> list[dict[str, Any]]:
    """Renders and stages the text of a segment, under keys that begin with `prefix`.

    One result for each run of about TEXT_PIECE bytes, so that memory does not grow with the
    annotations. Where a run ends changes no byte of the archive.
    """
    results: list[dict[str, Any]] = []

    def end_run() -> None:
        run = f"{prefix}{len(results)}-"
        staged, result = text.pieces()
        for key, pieces in staged.items():
            staging.put(run + key, pieces)
        results.append({**result, "stage": run})

    text = SegmentText(info)
    for block in blocks:
        text.add(block, held.check)
        if text.held_bytes >= TEXT_PIECE:
            end_run()
            text = SegmentText(info)
    if text.image_count or not results:
        end_run()
    return results


def text_bytes(results: Iterable[Mapping[str, Any]]) -> int:
    """Bytes of deflated text in what `build_text` returned."""
    return sum(
        result.get("files", {"length": 0})["length"]
        + sum(compressed for _, _, compressed in result["rows"].values())
        for result in results
    )


def stage_images(entries: ImageEntries, staging: Staging, result: dict[str, Any]) -> None:
    """Stages image entries that make no part of their own."""
    with stage("images") as made:
        staging.put(f"{result['stage']}images", list(entries))
        made.bytes = entries.length
    result["images"] = {"length": entries.length, "crc32": entries.crc32}
    _stage_records(entries, staging, result)


def _stage_records(entries: ImageEntries, staging: Staging, result: dict[str, Any]) -> None:
    staging.put(f"{result['stage']}image_records", entries.records)
