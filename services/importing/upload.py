"""What of an import is on its way to the server, and what became of the rest."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import orjson
from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services.catalog.limits import document_excess
from services.formats.common.source import ImportIssue
from services.importing.dataset import ImportItem
from services.importing.file_hashes import FileHashes
from services.importing.summary import ImportSummary

#: Bytes of annotations that are on their way at the same time; those of one image always may.
WINDOW_BYTES = 32 * 1024 * 1024
#: Bytes of images and annotations in one message, where it has several.
LIST_BYTES = 1024 * 1024
#: Seconds after which what was read is sent, however little it is.
READING = 0.02


def too_large(annotations: bytes) -> str | None:
    """What to say where the annotations of an image are more than a server takes."""
    problem = document_excess(len(annotations))
    return f"{problem}; skipped" if problem else None


@dataclass(slots=True)
class Sent:
    """An image on its way; the item without its annotations."""

    item: ImportItem
    annotations: bytes
    annotation_count: int
    sha256: str
    annotations_sha256: bytes
    #: Bytes of the file when it was read.
    size: int
    #: Whether the annotations are asked for.
    with_annotations: bool = False
    #: Whether the bytes are asked for.
    with_content: bool = False


class Upload:
    """What is on its way in one import, over all its streams. Used from the thread that
    reads results and from those that gRPC sends from."""

    def __init__(
        self,
        items: Iterator[ImportItem],
        on_issue: Callable[[ImportIssue], None],
        window: int,
        hashes: FileHashes,
    ) -> None:
        self.summary = ImportSummary()
        #: Images that nothing more happens to.
        self.finished = 0
        self.changed = threading.Condition(threading.RLock())
        self._items = items
        self._on_issue = on_issue
        self._window = window
        self._hashes = hashes
        self._exhausted = False
        self._again: deque[Sent] = deque()
        self._waiting: dict[str, Sent] = {}
        self._held_bytes = 0
        self._failure: BaseException | None = None

    @property
    def is_finished(self) -> bool:
        """Whether every image has its result."""
        with self.changed:
            return self._exhausted and not self._again and not self._waiting

    def next(self, most: int, is_closed: Callable[[], bool]) -> list[Sent]:
        """The next images to send, at least one and at most `most` of them; waits while the window
        is full. What is asked for once more comes alone. Empty: there is no more."""
        with self.changed:
            while not is_closed():
                sent = self._next_again(most) or self._next_new(most)
                if sent:
                    self._waiting.update((one.item.path, one) for one in sent)
                    return sent
                if self.is_finished:
                    return []
                if self._exhausted or not self._has_room():
                    self.changed.wait()
            return []

    def _next_again(self, most: int) -> list[Sent]:
        sent: list[Sent] = []
        size = 0
        while self._again and len(sent) < most:
            one = self._again[0]
            size += len(one.annotations) + (one.size if one.with_content else 0)
            if sent and size > LIST_BYTES:
                break
            sent.append(self._again.popleft())
        return sent

    def _next_new(self, most: int) -> list[Sent]:
        sent: list[Sent] = []
        end = time.monotonic() + READING
        while len(sent) < most and not self._exhausted and self._has_room(len(sent)):
            if one := self._read():
                sent.append(one)
            if sent and time.monotonic() > end:
                break
        return sent

    def settle(self, responses: Iterable[pb.PutImagesResponse]) -> None:
        """Takes the results of images."""
        with self.changed:
            for response in responses:
                self._settle(response)
            self.changed.notify_all()

    def _settle(self, response: pb.PutImagesResponse) -> None:
        sent = self._waiting.pop(response.path, None)
        if sent is None:
            return
        result = response.result
        if result == pb.PUT_IMAGE_RESULT_CONTENT_NEEDED and not sent.with_content:
            sent.with_annotations = sent.with_content = True
            self._again.append(sent)
        elif result == pb.PUT_IMAGE_RESULT_ANNOTATIONS_NEEDED and not sent.with_annotations:
            sent.with_annotations = True
            self._again.append(sent)
        else:
            self._held_bytes -= len(sent.annotations)
            self._count(sent, response)

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

    def _has_room(self, read: int = 0) -> bool:
        """Whether one more image may be read: images and their bytes are bounded."""
        return len(self._waiting) + read < self._window and self._held_bytes < WINDOW_BYTES

    def _read(self) -> Sent | None:
        """The next item of the source that can be sent. None: it cannot, or there is none."""
        item = next(self._items, None)
        if item is None:
            self._exhausted = True
            return None
        for issue in item.issues:
            self._name(issue)
        if item.is_left_out:
            self.finished += 1
            return None
        try:
            found = self._hashes.of(item.file)
        except OSError as error:
            self._skip(item, "FILE_UNREADABLE", f"cannot be read ({error.strerror}); skipped")
            return None
        annotations = orjson.dumps(item.annotations)
        if problem := too_large(annotations):
            self._skip(item, "ANNOTATIONS_TOO_LARGE", problem)
            return None
        self._held_bytes += len(annotations)
        # What is on its way holds bytes alone: parsed, they take twenty times as much.
        rest = replace(item, annotations=[])
        return Sent(
            rest,
            annotations,
            len(item.annotations),
            found.sha256,
            hashlib.sha256(annotations).digest(),
            found.size,
        )

    def _skip(self, item: ImportItem, reason: str, message: str) -> None:
        self.finished += 1
        self._name(ImportIssue(item.path, reason, message, 1, len(item.annotations)))

    def _name(self, issue: ImportIssue) -> None:
        self.summary.name(issue)
        self._on_issue(issue)

    def _count(self, sent: Sent, response: pb.PutImagesResponse) -> None:
        summary = self.summary
        self.finished += 1
        match response.result:
            case pb.PUT_IMAGE_RESULT_CREATED:
                amount = summary.created
            case pb.PUT_IMAGE_RESULT_UPDATED if response.replaced:
                amount = summary.replaced
                message = "replaces another file of this name in the dataset"
                self._name(ImportIssue(response.path, "IMAGE_REPLACED", message))
            case pb.PUT_IMAGE_RESULT_UPDATED:
                amount = summary.updated
                self._name_correction(response)
            case pb.PUT_IMAGE_RESULT_UNCHANGED:
                amount = summary.unchanged
            case _:
                issue = ImportIssue(
                    sent.item.path,
                    response.reason or "REJECTED",
                    response.message,
                    1,
                    sent.annotation_count,
                )
                summary.first_rejection = summary.first_rejection or issue
                self._name(issue)
                return
        amount.add(1, response.annotation_count)

    def _name_correction(self, response: pb.PutImagesResponse) -> None:
        if response.corrected_from_width:
            old = f"{response.corrected_from_width} x {response.corrected_from_height}"
            message = f"was measured as {old} pixels by an older version; its size is corrected"
            self._name(ImportIssue(response.path, "SIZE_CORRECTED", message))
