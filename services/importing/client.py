"""Sends a dataset to CatalogService.PutImages, and goes on where a connection broke."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import grpc
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
from services.formats.common.source import ImportIssue
from services.importing.dataset import ImportItem
from services.importing.endpoint import Endpoint
from services.importing.file_hashes import FileHashes
from services.importing.summary import ImportSummary
from services.importing.upload import Sent, Upload

CHUNK = 256 * 1024
#: Images on their way at the same time; no more than these are in memory.
WINDOW = 2_000
#: Images in one message.
MOST = 500
#: Bytes of an image that shares its message with others; larger ones come in chunks.
SMALL = 1024 * 1024
#: Seconds after which a server is taken for one that knows no messages of several images.
_SILENCE = 1.0

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
    grpc.StatusCode.UNAVAILABLE: Unavailable,
}


def import_dataset(
    server: Endpoint,
    api_key: str,
    dataset: str,
    items: Iterable[ImportItem],
    classes: Sequence[DatasetClass],
    *,
    on_progress: Callable[[int], None] = lambda finished: None,
    on_issue: Callable[[ImportIssue], None] = lambda issue: None,
    window: int = WINDOW,
    hashes: FileHashes | None = None,
) -> ImportSummary:
    """Stores images with their annotations in a dataset, which is made if it is missing.

    Every image is offered first by its SHA-256 and that of its annotations. These travel only
    where the dataset does not have them, and the bytes where the organization does not. Where
    the server is away, the import waits, connects again and sends on whatever has no result.

    Args:
        server: the gRPC server; its certificates are read anew for each connection.
        api_key: of role member or above; the organization follows from it.
        dataset: its name.
        items: images, each path once; read as they are sent.
        classes: appended to the dataset's where it lacks them.
        on_progress: called with the number of finished images.
        on_issue: called for all that was skipped, repaired or rejected.
        window: images on their way at the same time.
        hashes: sums of the files; by default each file is read.

    Raises:
        Unauthenticated: the API key is not known.
        Forbidden: its role does not allow imports.
        Unavailable: the server stayed away.
        CartoucheError: the server refused the stream for another reason.
    """
    upload = Upload(iter(items), on_issue, window, hashes or FileHashes())
    request = pb.PutImagesRequest(
        open=pb.PutImagesOpen(
            dataset_name=dataset,
            create_dataset=True,
            classes=map(class_message, classes),
            batches=True,
        )
    )
    attempt = 0
    while True:
        with server.channel() as channel:
            stream = _Stream(upload)
            call = CatalogServiceStub(channel).PutImages(
                stream.requests(request), metadata=(("x-api-key", api_key),)
            )
            try:
                for response in call:
                    attempt = 0
                    if response.path:
                        upload.settle([response])
                    else:
                        stream.lists_are_taken.set()
                        upload.settle(response.results)
                    on_progress(upload.finished)
            except grpc.RpcError:
                # What broke the stream on our side is the cause, and the status its effect.
                upload.raise_failure()
                if call.code() not in _TRANSIENT:
                    raise error_of(call) from None
                attempt += 1
                if attempt == _ATTEMPTS:
                    raise Unavailable(
                        "SERVER_UNAVAILABLE",
                        f"No answer from {server.address}: {call.details()}. Check the address, "
                        "that the server runs, and whether it wants TLS (CARTOUCHE_SERVER_CA); the "
                        "same import again goes on where this one stopped.",
                    ) from None
                wait = min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT)
                time.sleep(wait * random.uniform(0.5, 1))
            else:
                upload.raise_failure()
                if upload.is_finished:
                    on_progress(upload.finished)
                    return upload.summary
                raise Unavailable(
                    "STREAM_ENDED",
                    f"{server.address} ended the stream early; run the import again.",
                )
            finally:
                stream.close()
                call.cancel()


class _Stream:
    """The requests of one stream."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._closed = False
        #: The server has said that it takes several images in one message.
        self.lists_are_taken = threading.Event()

    def requests(self, first: pb.PutImagesRequest) -> Iterator[pb.PutImagesRequest]:
        """All messages of the stream; gRPC asks for the next when the last one is sent."""
        yield first
        try:
            self.lists_are_taken.wait(_SILENCE)
            while True:
                in_lists = self.lists_are_taken.is_set()
                sent = self._upload.next(MOST if in_lists else 1, lambda: self._closed)
                if not sent:
                    return
                yield from _lists(sent) if in_lists else _by_itself(sent[0])
        except Exception as error:
            self._upload.fail(error)

    def close(self) -> None:
        """Ends `requests`, and puts back what has no result."""
        with self._upload.changed:
            self._closed = True
            self._upload.send_again()
        self.lists_are_taken.set()


def _lists(images: Iterable[Sent]) -> Iterator[pb.PutImagesRequest]:
    """The messages of several images."""
    small: list[pb.PutImage] = []
    for sent in images:
        if sent.with_content and sent.size > SMALL:
            if small:
                yield pb.PutImagesRequest(images=pb.PutImageList(images=small))
                small = []
            yield from _by_itself(sent)
            continue
        image = _image(sent)
        if sent.with_content:
            with sent.item.file.open("rb") as file:
                # What has grown since is refused, by its name.
                image.content = file.read(SMALL + 1)
        else:
            image.sha256 = sent.sha256
        if sent.with_annotations:
            image.annotations = sent.annotations
        else:
            image.annotations_sha256 = sent.annotations_sha256
        small.append(image)
    if small:
        yield pb.PutImagesRequest(images=pb.PutImageList(images=small))


def _image(sent: Sent) -> pb.PutImage:
    item = sent.item
    return pb.PutImage(path=item.path, status=item.status or "", split=item.split or "")


def _by_itself(sent: Sent) -> Iterator[pb.PutImagesRequest]:
    """The messages of one image."""
    image = _image(sent)
    image.annotations = sent.annotations
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


def error_of(call: grpc.Call) -> CartoucheError:
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
