"""build_segment: from a manifest to a part of the archive, or to staged text, or to both."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from services.exports.claims import SegmentClaim
from services.exports.model import archive_key, staging_prefix
from services.formats.common.export import ExportInfo
from services.storage import CopyRefused, ObjectStore
from workers.archive.segments import MIN_PART
from workers.context import WorkerContext
from workers.export_info import export_info
from workers.image_entries import ImageEntries, KnownSums
from workers.leases import Held
from workers.segment_manifest import Block, manifest_objects, read_blocks
from workers.segment_planning import is_images_alone, is_text_alone
from workers.segment_text import SegmentText
from workers.stages import stage
from workers.staging import ReadOnce, Staging, StoreStaging, stage_of
from workers.versions import check_maker, version_of

logger = logging.getLogger(__name__)

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
    check_maker(claim.export)
    prefix = staging_prefix(claim.organization_id, claim.export_id)
    staging = ReadOnce(StoreStaging(context.store, prefix))
    info = export_info(claim.export)
    version = version_of(claim.export)
    result: dict[str, Any] = {"version": version}
    if not is_images_alone(version, claim.number):
        with stage("text") as made:
            blocks = _blocks(staging, claim, held)
            first, *more = build_text(held, blocks, info, staging, stage_of(claim))
            made.bytes = text_bytes((first, *more))
        result |= first
        if more:
            result["more"] = more
    if info.include_images and not is_text_alone(version, claim.number):
        # That of the first text, where there is any.
        result.setdefault("stage", stage_of(claim))
        # Hundreds of images are read ahead, which must not hold their annotations.
        blocks = _blocks(staging, claim, held, with_annotations=False)
        images = (planned for block in blocks for planned in block)
        entries = ImageEntries(context.store, images, info, held)
        copied = _copied(context.store, claim, held, info, staging)
        if copied is not None:
            result["part"], records = copied
            _stage_records(records, staging, result)
        elif claim.size >= MIN_PART:
            result["part"] = _upload_part(context.store, claim, held, info, staging, entries)
            _stage_records(entries.records, staging, result)
        else:
            # Too short for a part of its own: finish streams it.
            stage_images(entries, staging, result)
    return result


def _blocks(
    staging: Staging, claim: SegmentClaim, held: Held, *, with_annotations: bool = True
) -> Iterator[Block]:
    for key in manifest_objects(claim.manifest_key):
        for block in read_blocks(staging.stream(key), with_annotations=with_annotations):
            held.check()
            yield block


def _copied(
    store: ObjectStore, claim: SegmentClaim, held: Held, info: ExportInfo, staging: Staging
) -> tuple[dict[str, Any], list[bytes]] | None:
    """Has the store copy the part out of an earlier archive; gives what the record must know of
    it, and the records of its entries. None: it must be built."""
    export, source = claim.export, claim.source
    if source is None:
        return None
    assert export.upload_id is not None
    records: list[bytes] = []
    known = KnownSums(_blocks(staging, claim, held, with_annotations=False), info, records)
    if known.length != source.length:
        raise RuntimeError("the entries of a part are not those of the one that it copies")
    key = archive_key(export.organization_id, export.export_id)
    try:
        with stage("copy") as made:
            etag = store.copy_part(key, export.upload_id, claim.number, source)
            made.bytes = known.length
    except CopyRefused as error:
        # Deleted by its owner, for instance, which always wins.
        logger.info(
            "a part is built that was to be copied",
            extra={"export_id": claim.export_id, "segment": claim.number, "error": str(error)},
        )
        return None
    part = {
        "number": claim.number,
        "etag": etag,
        "length": known.length,
        "crc32": known.crc32,
        "copied": True,
    }
    return part, records


def _upload_part(
    store: ObjectStore,
    claim: SegmentClaim,
    held: Held,
    info: ExportInfo,
    staging: Staging,
    entries: ImageEntries,
) -> dict[str, Any]:
    """Uploads the entries as a part of the archive, whose sum goes ahead of it; gives what the
    record must know of the part."""
    export = claim.export
    assert export.upload_id is not None
    known = KnownSums(_blocks(staging, claim, held, with_annotations=False), info)
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
    return {
        "number": claim.number,
        "etag": etag,
        "length": entries.length,
        "crc32": entries.crc32,
    }


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
    _stage_records(entries.records, staging, result)


def _stage_records(records: list[bytes], staging: Staging, result: dict[str, Any]) -> None:
    staging.put(f"{result['stage']}image_records", records)
