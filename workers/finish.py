"""finish_export: the end of the archive, its completion in the store, and its check."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from services.exports import progress
from services.exports.claims import ExportClaim
from services.exports.endings import Completion
from services.exports.model import archive_key, staging_prefix
from services.formats.common.export import ExportInfo
from services.formats.common.loss_report import LossReport
from services.storage import UploadNotFound
from workers.archive.segments import MIN_PART
from workers.archive_assembly import Assembly
from workers.archive_tail import HELD_PART, held_bytes, tail_parts
from workers.budget import Share, needs
from workers.check import Expected, ReadText, check
from workers.context import WorkerContext
from workers.entry_names import names_bytes
from workers.export_info import export_info
from workers.image_entries import ImageEntries
from workers.leases import ClaimLost, Held
from workers.proofreading import Proofreader
from workers.segment import build_text, stage_images, text_bytes
from workers.segment_manifest import Block
from workers.stages import stage
from workers.staging import MemoryStaging, StoreStaging
from workers.versions import check_maker, check_version

KINDS = ("clamped", "degraded", "dropped", "renamed", "unannotated")


def finish(context: WorkerContext, held: Held, share: Share, claim: ExportClaim) -> Completion:
    """Ends an archive whose segments are all built.

    Raises:
        ArchiveDamaged: the archive in the store is not what was built.
        UploadNotFound: the store forgot the upload.
        OtherMaker, NewerWork: another worker must finish it.
        StorageError, Unavailable: as the store and the database say.
        ClaimLost: the work is for nothing.
    """
    check_maker(claim)
    with stage("finish") as made:
        key, assembly = _assemble(context, held, share, claim)
        made.bytes = assembly.length
    return _checked(context, held, claim, _built(claim, key, assembly), None)


def _assemble(
    context: WorkerContext, held: Held, share: Share, claim: ExportClaim
) -> tuple[str, Assembly]:
    """Completes the archive in the store; its key, and what it was put together from."""
    assert claim.upload_id is not None
    key = archive_key(claim.organization_id, claim.export_id)
    store = context.store
    prefix = staging_prefix(claim.organization_id, claim.export_id)
    results = _known(progress.segment_results(context.database, claim.export_id))
    assembly = Assembly(export_info(claim), results, StoreStaging(store, prefix))
    size = max(int(claim.snapshot["part_size"]), MIN_PART)
    # What the check reads as a whole; tails of large parts, and the names that the check proves.
    more = max(0, held_bytes(size) - HELD_PART) + names_bytes(2 * assembly.summary.image_count)
    largest = assembly.summary.largest if assembly.summary.read is None else 0
    share.resize(needs(largest) + more, held.check)
    parts = assembly.parts
    stat = store.stat(store.exports_bucket, key) if claim.file_size is not None else None
    if stat is not None and stat.size == claim.file_size:
        # An earlier finish completed the upload and died before it could say so.
        for _ in assembly:
            held.check()
    else:
        stream = _checking(assembly, held)
        for length, pieces in tail_parts(stream, assembly.known_length, size):
            number = len(parts) + 1
            etag = store.upload_part(key, claim.upload_id, number, length, pieces)
            parts.append((number, etag))
        if not progress.archive_assembled(context.database, claim, assembly.length, assembly.crc32):
            raise ClaimLost(claim.export_id)
        try:
            store.complete_upload(key, claim.upload_id, parts)
        except UploadNotFound:
            # Completed by a call whose answer was lost, or gone.
            stat = store.stat(store.exports_bucket, key)
            if stat is None or stat.size != assembly.length:
                raise
    return key, assembly


def build_small(
    context: WorkerContext, held: Held, claim: ExportClaim, blocks: list[Block]
) -> Completion:
    """Builds a whole archive in memory, stores it with one PUT, and checks it.

    Raises: as `finish`, and PermanentFailure for a missing image.
    """
    info = export_info(claim)
    staging = MemoryStaging()
    with stage("text") as made:
        results = build_text(held, blocks, info, staging, "")
        made.bytes = text_bytes(results)
    if info.include_images:
        images = (planned for block in blocks for planned in block)
        stage_images(ImageEntries(context.store, images, info, held), staging, results[0])
    return store_built(context, held, claim, results, staging)


def store_built(
    context: WorkerContext,
    held: Held,
    claim: ExportClaim,
    results: list[dict[str, Any]],
    staging: MemoryStaging,
) -> Completion:
    """Stores a whole archive that was built in memory with one PUT, and checks it.

    Raises: as `finish`.
    """
    return _checked(context, held, claim, *_stored(context, held, claim, results, staging))


def _stored(
    context: WorkerContext,
    held: Held,
    claim: ExportClaim,
    results: list[dict[str, Any]],
    staging: MemoryStaging,
) -> tuple["_Built", str]:
    """Puts together and stores what lies in memory, which is empty then; the archive, and its
    SHA-256."""
    info = export_info(claim)
    with stage("finish") as made:
        assembly = Assembly(info, results, staging)
        pieces = list(assembly)
        key = archive_key(claim.organization_id, claim.export_id)
        held.check()
        context.store.put_pieces(context.store.exports_bucket, key, pieces, "application/zip")
        made.bytes = assembly.length
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    staging.clear()
    return _built(claim, key, assembly), digest.hexdigest()


@dataclass(frozen=True, slots=True)
class _Built:
    """An archive as it was built."""

    expected: Expected
    crc32: int


def _built(claim: ExportClaim, key: str, assembly: Assembly) -> _Built:
    expected = Expected(
        key=key,
        size=assembly.length,
        text_start=assembly.text_start,
        directory_start=assembly.directory_start,
        entry_count=assembly.entry_count,
        stored_images=assembly.summary.image_count if claim.include_images else 0,
        summary=assembly.summary,
        info=export_info(claim),
        copied_ends=assembly.copied_ends,
        read=read_text(assembly, export_info(claim)),
    )
    return _Built(expected, assembly.crc32)


def read_text(assembly: Assembly, info: ExportInfo) -> ReadText | None:
    """What is known of the text of an archive that was put together, once what builders had not at
    hand was read too; None where they have not read theirs.

    Raises:
        ArchiveDamaged: it is not as its readers take it.
    """
    if assembly.summary.read is None:
        return None
    proofreader = Proofreader(info)
    for document in assembly.documents:
        proofreader.read_frame(document, assembly.summary.image_count)
    counts = proofreader.counts
    counts += assembly.summary.read
    return ReadText(counts, assembly.text_crc32, assembly.directory_crc32)


def _checked(
    context: WorkerContext, held: Held, claim: ExportClaim, built: _Built, sha256: str | None
) -> Completion:
    expected, summary = built.expected, built.expected.summary
    with stage("verify") as made:
        read_sha256 = check(context.store, held, expected, context.settings.verify)
        made.bytes = expected.size
    return Completion(
        file_size=expected.size,
        crc32=built.crc32,
        sha256=sha256 or read_sha256,
        image_count=summary.image_count,
        annotation_count=summary.annotation_count,
        warnings=warnings(summary.losses),
    )


def warnings(losses: LossReport) -> dict[str, int]:
    """The totals of a loss report, by kind."""
    return {kind: losses.total(kind) for kind in KINDS}


def _known(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results, all of versions that are known here."""
    for result in results:
        check_version(result, "a result")
        yield result


def _checking(stream: Iterable[bytes], held: Held) -> Iterator[bytes]:
    """The stream, as long as somebody waits for it."""
    for piece in stream:
        held.check()
        yield piece
