"""ExportService over gRPC: messages in, domain calls, messages out."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from functools import partial

import grpc
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1 import export_service_pb2_grpc as rpc

from services import metrics
from services.database.changes import Changes
from services.database.engine import Database
from services.doorbell import Doorbell
from services.errors import Invalid, WrongState
from services.exports import cancellation, creation, messages, preview, queries, retrying
from services.exports.creation import Limits
from services.exports.endings import Keeping
from services.exports.model import (
    Export,
    ExportAddress,
    ExportPage,
    Lane,
    Status,
    archive_key,
)
from services.exports.seen_page import SeenPage
from services.exports.validation import format_error
from services.formats.registry import FORMATS
from services.identity.roles import Role
from services.rpc.caller import caller
from services.rpc.gathering import GatheredReads, Readers
from services.rpc.paging import page
from services.rpc.timestamps import timestamp
from services.storage import ObjectStore

MAX_BULK = 1_000
MAX_FORMATS = 100
#: Links outlive their archive by no more than this.
LINK_MARGIN = timedelta(minutes=1)
_FIRST_LOOK = 0.1
_SLOWEST_LOOK = 1.0
#: Seconds between looks at a list that nobody tells of, and at least between two.
_SLOWEST_LIST = 2.0
_BETWEEN_LISTS = 0.2


def link_lifetime(
    url_ttl: timedelta, expires_at: float | None, now: float, links_end_at: float | None = None
) -> timedelta:
    """How long a link works that is signed `now` (seconds since 1970): no longer than its archive
    is kept, but for a margin of a minute in which it may be removed, and no longer than the
    credentials that sign it."""
    lifetime = url_ttl
    if expires_at is not None:
        left = timedelta(seconds=int(expires_at - now))
        lifetime = min(lifetime, max(left, timedelta()) + LINK_MARGIN)
    if links_end_at is not None:
        # S3 signs none for less than a second.
        left = timedelta(seconds=int(links_end_at - now))
        lifetime = min(lifetime, max(left, timedelta(seconds=1)))
    return lifetime


class ExportServicer(rpc.ExportServiceServicer):
    """Roles: reading viewer; creating, retrying and cancelling member; deleting admin."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        doorbell: Doorbell,
        objects: ObjectStore,
        url_ttl: timedelta,
        limits: Limits,
        keeping: Keeping,
        readers: Readers,
    ) -> None:
        self._database = database
        self._looks = GatheredReads(partial(queries.exports_at, database), readers)
        self._changes = changes
        self._doorbell = doorbell
        self._objects = objects
        self._url_ttl = url_ttl
        self._limits = limits
        self._keeping = keeping

    def CreateExport(
        self, request: pb.CreateExportRequest, context: grpc.ServicerContext
    ) -> pb.CreateExportResponse:
        who = caller()
        who.require(Role.member)
        created = creation.create_export(
            self._database,
            who.organization_id,
            messages.export_request(request),
            lambda export: pb.CreateExportResponse(
                export=messages.export_message(export)
            ).SerializeToString(),
            self._limits,
        )
        answer = pb.CreateExportResponse.FromString(created.response)
        if created.lane is not None:
            metrics.EXPORTS_CREATED.labels(answer.export.format).inc()
            self._doorbell.ring(created.lane)
        return answer

    def PreviewExport(
        self, request: pb.PreviewExportRequest, context: grpc.ServicerContext
    ) -> pb.PreviewExportResponse:
        return messages.preview_message(
            preview.preview_export(
                self._database, caller().organization_id, messages.preview_request(request)
            )
        )

    def ListFormats(
        self, request: pb.ListFormatsRequest, context: grpc.ServicerContext
    ) -> pb.ListFormatsResponse:
        return pb.ListFormatsResponse(formats=map(messages.format_message, FORMATS.values()))

    async def GetExport(
        self, request: pb.GetExportRequest, context: object
    ) -> pb.GetExportResponse:
        found = await self._look(messages.export_address(request))
        return pb.GetExportResponse(export=messages.export_message(found))

    def ListExports(
        self, request: pb.ListExportsRequest, context: grpc.ServicerContext
    ) -> pb.ListExportsResponse:
        found = self._page(request)
        return pb.ListExportsResponse(
            exports=map(messages.export_message, found.exports), total=found.total
        )

    async def WatchExport(
        self, request: pb.WatchExportRequest, context: object
    ) -> AsyncIterator[pb.WatchExportResponse]:
        address = messages.export_address(request)
        if not address.id:
            # A name may be given again; a watch stays with the export it began with.
            address = ExportAddress(id=(await self._look(address)).id)
        seen = -1
        pause = _FIRST_LOOK
        with self._changes.of(address.id) as changed:
            while True:
                changed.clear()
                export = await self._look(address)
                if export.version != seen:
                    seen = export.version
                    pause = _FIRST_LOOK
                    yield pb.WatchExportResponse(export=messages.export_message(export))
                if export.status in (Status.completed, Status.failed):
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), pause)
                pause = min(pause * 1.5, _SLOWEST_LOOK)

    async def WatchExports(
        self, request: pb.WatchExportsRequest, context: object
    ) -> AsyncIterator[pb.WatchExportsResponse]:
        seen: SeenPage | None = None
        with self._changes.of(caller().organization_id) as changed:
            while True:
                changed.clear()
                found = await asyncio.to_thread(self._page, request.page)
                if seen is None:
                    seen = SeenPage(found)
                    yield pb.WatchExportsResponse(
                        exports=map(messages.export_message, found.exports),
                        total=found.total,
                        is_page=True,
                    )
                elif difference := seen.replace(found):
                    yield pb.WatchExportsResponse(
                        exports=map(messages.export_message, difference.exports),
                        gone=difference.gone,
                        total=found.total,
                    )
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), _SLOWEST_LIST)
                # An organization that exports much changes all the time.
                await asyncio.sleep(_BETWEEN_LISTS)

    def GetDownloadUrl(
        self, request: pb.GetDownloadUrlRequest, context: grpc.ServicerContext
    ) -> pb.GetDownloadUrlResponse:
        export = self._get(messages.export_address(request))
        if export.status is not Status.completed:
            advice = (
                f"It failed: {export.error_message}"
                if export.status is Status.failed
                else "Wait until its status is completed, then ask again."
            )
            raise WrongState(
                "EXPORT_NOT_COMPLETED",
                f"Export {export.name!r} has the status {export.status}; there is nothing to "
                f"download. {advice}",
                {"status": export.status},
            )
        now = time.time()
        lifetime = link_lifetime(
            self._url_ttl, export.expires_at, now, self._objects.links_end_at()
        )
        url = self._objects.sign_download(
            archive_key(export.organization_id, export.id), f"{export.name}.zip", lifetime
        )
        return pb.GetDownloadUrlResponse(
            download_url=url,
            expires_at=timestamp(int(now + lifetime.total_seconds())),
            file_size=export.file_size or 0,
            name=export.name,
            crc32=export.crc32,
            sha256=export.sha256 or "",
        )

    def RetryExport(
        self, request: pb.RetryExportRequest, context: grpc.ServicerContext
    ) -> pb.RetryExportResponse:
        who = caller()
        who.require(Role.member)
        retried = retrying.retry_export(
            self._database,
            who.organization_id,
            messages.export_address(request),
            fresh=request.fresh,
            limits=self._limits,
        )
        self._doorbell.ring(retried.lane)
        return pb.RetryExportResponse(export=messages.export_message(retried.export))

    def CancelExport(
        self, request: pb.CancelExportRequest, context: grpc.ServicerContext
    ) -> pb.CancelExportResponse:
        who = caller()
        who.require(Role.member)
        cancelled = cancellation.cancel_export(
            self._database,
            who.organization_id,
            messages.export_address(request),
            self._keeping,
        )
        self._ring()
        return pb.CancelExportResponse(export=messages.export_message(cancelled))

    def DeleteExport(
        self, request: pb.DeleteExportRequest, context: grpc.ServicerContext
    ) -> pb.DeleteExportResponse:
        who = caller()
        who.require(Role.admin)
        export_id = queries.delete_export(
            self._database, who.organization_id, messages.export_address(request)
        )
        self._ring()
        return pb.DeleteExportResponse(id=export_id)

    def BulkDeleteExports(
        self, request: pb.BulkDeleteExportsRequest, context: grpc.ServicerContext
    ) -> pb.BulkDeleteExportsResponse:
        who = caller()
        who.require(Role.admin)
        if not 1 <= len(request.export_ids) <= MAX_BULK:
            raise Invalid.of("export_ids", f"give 1 to {MAX_BULK} ids")
        deleted, not_found = queries.bulk_delete_exports(
            self._database, who.organization_id, request.export_ids
        )
        if deleted:
            self._ring()
        return pb.BulkDeleteExportsResponse(deleted=deleted, not_found=not_found)

    def _ring(self) -> None:
        for lane in Lane:
            self._doorbell.ring(lane)

    def _page(self, request: pb.ListExportsRequest) -> ExportPage:
        limit, offset = page(request.limit, request.offset)
        if len(request.formats) > MAX_FORMATS:
            raise Invalid.of("formats", f"give at most {MAX_FORMATS} formats")
        for at, name in enumerate(request.formats):
            if problem := format_error(name):
                raise Invalid.of(f"formats[{at}]", problem)
        return queries.list_exports(
            self._database,
            caller().organization_id,
            dataset_name=request.dataset_name,
            status=messages.status_filter(request.status),
            formats=request.formats,
            search=request.search,
            limit=limit,
            offset=offset,
        )

    async def _look(self, address: ExportAddress) -> Export:
        """`_get` for calls that do nothing else: there may be thousands of them at once."""
        found = await self._looks.get((caller().organization_id, address))
        if isinstance(found, Export):
            return found
        raise found or queries.no_export(address)

    def _get(self, address: ExportAddress) -> Export:
        return queries.get_export(self._database, caller().organization_id, address)
