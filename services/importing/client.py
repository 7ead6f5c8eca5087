"""Sends a dataset to CatalogService.PutImages, and goes on where a connection broke."""

import hashlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import grpc
import orjson
from cartouche.catalog.v1 import catalog_service_pb2 as pb
from cartouche.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.catalog.class_messages import class_message
from services.catalog.model import DatasetClass
from services.errors import (
    AlreadyExists,
    CartoucheError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    RateLimited,
    Unauthenticated,
    Unavailable,
    WrongState,
)
from services.importing.dataset import ImportIssue, ImportItem

CHUNK = 256 * 1024
#: Images on their way at the same time; no more than these are in memory.
WINDOW = 256
#: Bytes of the annotations of one image, below the server's limit for a message.
MAX_ANNOTATIONS = 31 * 1024 * 1024

#: Attempts in a row that may pass without any result, and seconds between the first two.
_ATTEMPTS = 7
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 15.0
# A server that shuts down cancels what it cannot finish.
_TRANSIENT = frozenset((grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))

_ERRORS: dict[grpc.StatusCode, type[CartoucheError]] = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.INVALID_ARGUMENT: Invalid,
}


@dataclass(slots=True)
class ImportSummary:
    """What became of the images of an import."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    #: Refused by the server.
    rejected: int = 0
    first_rejection: ImportIssue | None = None
    #: Not sent, since they could not be.
    skipped: int = 0
    #: Of the images that are now in the dataset.
    annotation_count: int = 0
    #: Issues by reason, those of single annotations too.
    issues: Counter[str] = field(default_factory=Counter)

    @property
    def stored(self) -> int:
        """Images that are now in the dataset as the source has them."""
        return self.created + self.updated + self.unchanged

    @property
    def finished(self) -> int:
        """Images that nothing more happens to."""
        return self.stored + self.rejected + self.skipped


def import_dataset(
    server: str,
    api_key: str,
    dataset: str,
    items: Iterable[ImportItem],
    classes: Sequence[DatasetClass],
    *,
    on_progress: Callable[[int], None] = lambda finished: None,
    on_issue: Callable[[ImportIssue], None] = lambda issue: None,
    window: int = WINDOW,
) -> ImportSummary:
    """Stores images with their annotations in a dataset, which is made if it is missing.

    Every image is offered by its SHA-256 first; its bytes travel only where the organization
    does not have them. Where the server is away, the import waits, connects again and sends
    on whatever has no result.

    Args:
        server: address of the gRPC server.
        api_key: of role member or above; the organization follows from it.
        dataset: its name.
        items: images, each path once; read as they are sent.
        classes: appended to the dataset's where it lacks them.
        on_progress: called with the number of finished images.
        on_issue: called for all that was skipped, repaired or rejected.
        window: images on their way at the same time.

    Raises:
        Unauthenticated: the API key is not known.
        Forbidden: its role does not allow imports.
        Unavailable: the server stayed away.
        CartoucheError: the server refused the stream for another reason.
    """
    upload = _Upload(iter(items), on_issue, window)
    request = pb.PutImagesRequest(
        open=pb.PutImagesOpen(
            dataset_name=dataset, create_dataset=True, classes=map(class_message, classes)
        )
    )
    attempt = 0
    with grpc.insecure_channel(server) as channel:
        stub = CatalogServiceStub(channel)
        while True:
            stream = _Stream(upload)
            call = stub.PutImages(stream.requests(request), metadata=(("x-api-key", api_key),))
            try:
                for response in call:
                    attempt = 0
                    upload.settle(response)
                    on_progress(upload.summary.finished)
            except grpc.RpcError:
                # What broke the stream on our side is the cause, and the status its effect.
                upload.raise_failure()
                if call.code() not in _TRANSIENT:
                    raise _error_of(call) from None
                attempt += 1
                if attempt == _ATTEMPTS:
                    raise Unavailable(
                        "SERVER_UNAVAILABLE",
                        f"No answer from {server}: {call.details()}. Check the address and that "
                        "the server runs; the same import again goes on where this one stopped.",
                    ) from None
                wait = min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT)
                time.sleep(wait * random.uniform(0.5, 1))
            else:
                upload.raise_failure()
                if upload.is_finished:
                    on_progress(upload.summary.finished)
                    return upload.summary
                raise Unavailable(
                    "STREAM_ENDED", f"{server} ended the stream early; run the import again."
                )
            finally:
                stream.close()
                call.cancel()


@dataclass(slots=True)
class _Sent:
    """An image on its way."""

    item: ImportItem
    annotations: bytes
    sha256: str
    #: Whether the bytes are asked for.
    with_content: bool = False


class _Upload:
    """What is on its way in one import, over all its streams. Used from the thread that
    reads results and from those that gRPC sends from."""

    def __init__(
        self, items: Iterator[ImportItem], on_issue: Callable[[ImportIssue], None], window: int
    ) -> None:
        self.summary = ImportSummary()
        self.changed = threading.Condition(threading.RLock())
        self._items = items
        self._on_issue = on_issue
        self._window = window
        self._exhausted = False
        self._again: deque[_Sent] = deque()
        self._waiting: dict[str, _Sent] = {}
        self._failure: BaseException | None = None

    @property
    def is_finished(self) -> bool:
        """Whether every image has its result."""
        with self.changed:
            return self._exhausted and not self._again and not self._waiting

    def next(self, is_closed: Callable[[], bool]) -> _Sent | None:
        """The next image to send; waits while the window is full. None: there is no more."""
        with self.changed:
            while not is_closed():
                sent = None
                if self._again:
                    sent = self._again.popleft()
                elif not self._exhausted and len(self._waiting) < self._window:
                    sent = self._read()
                if sent:
                    self._waiting[sent.item.path] = sent
                    return sent
                if self.is_finished:
                    return None
                if self._exhausted or len(self._waiting) >= self._window:
                    self.changed.wait()
            return None

    def settle(self, response: pb.PutImagesResponse) -> None:
        """Takes the result of an image."""
        with self.changed:
            sent = self._waiting.pop(response.path, None)
            if sent is None:
                return
            result = response.result
            if result == pb.PUT_IMAGE_RESULT_CONTENT_NEEDED and not sent.with_content:
                sent.with_content = True
                self._again.append(sent)
            else:
                self._count(sent, response)
            self.changed.notify_all()

    def send_again(self) -> None:
        """Puts back what has no result, after its stream ended."""
        with self.changed:
            self._again.extend(self._waiting.values())
            self._waiting.clear()
            self.changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Keeps an error of a sending thread for the one that reads results."""
        with self.changed:
            self._failure = error

    def raise_failure(self) -> None:
        """Raises what a sending thread met."""
        if self._failure is not None:
            raise self._failure

    def _read(self) -> _Sent | None:
        """The next item of the source that can be sent. None: it cannot, or there is none."""
        item = next(self._items, None)
        if item is None:
            self._exhausted = True
            return None
        for issue in item.issues:
            self._name(issue)
        try:
            with item.file.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        except OSError as error:
            self._skip(item, "FILE_UNREADABLE", f"{item.file}: {error.strerror}; skipped")
            return None
        annotations = orjson.dumps(item.annotations)
        if len(annotations) > MAX_ANNOTATIONS:
            limit = MAX_ANNOTATIONS // 2**20
            self._skip(item, "ANNOTATIONS_TOO_LARGE", f"they take more than {limit} MiB; skipped")
            return None
        return _Sent(item, annotations, digest.hexdigest())

    def _skip(self, item: ImportItem, reason: str, message: str) -> None:
        self.summary.skipped += 1
        self._name(ImportIssue(item.path, reason, message))

    def _name(self, issue: ImportIssue) -> None:
        self.summary.issues[issue.reason] += 1
        self._on_issue(issue)

    def _count(self, sent: _Sent, response: pb.PutImagesResponse) -> None:
        summary = self.summary
        match response.result:
            case pb.PUT_IMAGE_RESULT_CREATED:
                summary.created += 1
            case pb.PUT_IMAGE_RESULT_UPDATED:
                summary.updated += 1
            case pb.PUT_IMAGE_RESULT_UNCHANGED:
                summary.unchanged += 1
            case _:
                issue = ImportIssue(sent.item.path, response.reason or "REJECTED", response.message)
                summary.rejected += 1
                summary.first_rejection = summary.first_rejection or issue
                self._name(issue)
                return
        summary.annotation_count += response.annotation_count


class _Stream:
    """The requests of one stream."""

    def __init__(self, upload: _Upload) -> None:
        self._upload = upload
        self._closed = False

    def requests(self, first: pb.PutImagesRequest) -> Iterator[pb.PutImagesRequest]:
        """All messages of the stream; gRPC asks for the next when the last one is sent."""
        yield first
        try:
            while sent := self._upload.next(lambda: self._closed):
                yield from _messages(sent)
        except Exception as error:
            self._upload.fail(error)

    def close(self) -> None:
        """Ends `requests`, and puts back what has no result."""
        with self._upload.changed:
            self._closed = True
            self._upload.send_again()


def _messages(sent: _Sent) -> Iterator[pb.PutImagesRequest]:
    image = pb.PutImage(
        path=sent.item.path,
        status=sent.item.status or "",
        split=sent.item.split or "",
        annotations=sent.annotations,
    )
    if not sent.with_content:
        image.sha256 = sent.sha256
        yield pb.PutImagesRequest(image=image)
        return
    with sent.item.file.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        image.size = size
        yield pb.PutImagesRequest(image=image)
        while size > 0:
            chunk = file.read(min(CHUNK, size))
            if not chunk:
                raise Invalid.of(
                    "images", f"{sent.item.file} became shorter while it was sent; import again"
                )
            size -= len(chunk)
            yield pb.PutImagesRequest(chunk=chunk)


def _error_of(call: grpc.Call) -> CartoucheError:
    """The server's refusal as the error it was made from."""
    reason, metadata, fields = call.code().name, {}, {}
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fields = {row.field: row.description for row in bad.field_violations}
    message = call.details() or reason
    kind = _ERRORS.get(call.code(), CartoucheError)
    if kind is Invalid:
        return Invalid(reason, message, metadata, fields)
    return kind(reason, message, metadata)
