"""One PutImages stream: images come in, are stored side by side, and are recorded in batches.

All streams of a server share one budget of memory (`STREAMS_BYTES`). The images of a message take
their share before their bytes are read or their annotations parsed, and give it back once they are
recorded; a stream that waits for a share reads no message. Beside the budget each stream has at
most one message that gRPC has read.

Images above 1 MiB lie on disk until they are stored, and share another budget there. Each takes
all that it needs before its bytes are read, so that it never waits for others that wait for it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cartouche.catalog.v1 import catalog_service_pb2 as pb

from services import metrics
from services.allocator import trim
from services.catalog.content import (
    IN_MEMORY,
    Content,
    Spool,
    Unkept,
    find_contents,
    store_content,
    stored_content,
)
from services.catalog.held_bytes import HeldBytes
from services.catalog.images import (
    CheckedImage,
    Offer,
    StoredImage,
    check_image,
    check_offer,
    put_images,
    unchanged_images,
)
from services.catalog.limits import MAX_DOCUMENT
from services.catalog.messages import rejection_message, stored_message
from services.catalog.pictures.measure import MAX_BYTES
from services.database.engine import Database
from services.errors import CartoucheError, Invalid, Unavailable
from services.rpc.requests import check_request
from services.storage import ObjectStore, StorageError
from services.texts import quoted

logger = logging.getLogger(__name__)

MAX_CHUNK = 256 * 1024
#: Seconds for which the bytes of an image that was begun may fail to come: others wait for its
#: share.
_SILENCE = 60.0
#: Messages of one stream whose images are stored at the same time.
_AT_ONCE = 8
#: Messages whose images are not recorded yet.
_AHEAD = 800
#: Images of one message, and the bytes of several.
MAX_LIST = 1_000
MAX_LIST_BYTES = 4 * 1024 * 1024
#: Results in one message, each of which may have a path and a reason of a kilobyte.
_RESULTS = 500
#: Bytes of annotations that are checked where they come in: handing them to another thread
#: takes longer.
_AT_HAND = 16 * 1024
#: Such as leave much behind that is free.
_LARGE = 1024 * 1024
#: Images recorded in one transaction, and the bytes of their annotations, where they are several
#: messages; seconds that those which are ready wait for others on their way to the store.
_BATCH = 200
_BATCH_BYTES = 8 * 1024 * 1024
_PATIENCE = 0.1
#: Said of an image that the disk has no room for, however long it would wait.
_TOO_LARGE = "more than this server takes (CARTOUCHE_IMPORT_SPACE); use smaller images"
#: Memory of all streams of a server, in bytes.
STREAMS_BYTES = 64 * 1024 * 1024
#: Memory that a byte of annotations takes while it is checked, measured: parsed numbers and names.
_PARSED = 12
#: Memory of an image that waits to be recorded, and of each of its annotations, beside the bytes;
#: how often these are there when it is.
_IMAGE = 2_048
_ANNOTATION = 64
_RECORDED = 3
#: Of images that came in one message all but one are not being checked, each with annotations as
#: short as they can be.
_WAITING = 5


@dataclass(frozen=True, slots=True)
class _Ready:
    """An image whose bytes are in the store, or are said to be."""

    image: CheckedImage
    #: Its SHA-256 where it is only said.
    content: Content | str


_Outcome = _Ready | Offer | pb.PutImagesResponse


@dataclass(slots=True)
class _Share:
    """Bytes of the budget that the images of a message have."""

    size: int
    #: Of the budget of the disk.
    on_disk: int = 0


@dataclass(frozen=True, slots=True)
class _Coming:
    """Images of a message that were begun, and the share that they have until they are recorded."""

    task: asyncio.Task[list[_Outcome]]
    share: _Share
    count: int


class PutStream:
    """The state of one stream into one dataset."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        organization_id: str,
        dataset_id: str,
        held: HeldBytes,
        on_disk: HeldBytes,
        *,
        takes_lists: bool = False,
    ) -> None:
        """`takes_lists`: many images may come, and be answered, in one message."""
        self._takes_lists = takes_lists
        self._database = database
        self._store = store
        self._organization_id = organization_id
        self._dataset_id = dataset_id
        self._held = held
        self._on_disk = on_disk
        #: What came in, in order; None: no more will come.
        self._coming: asyncio.Queue[_Coming | None] = asyncio.Queue()
        #: The next one, where it was looked at before its turn.
        self._first: _Coming | None = None
        self._begun: set[asyncio.Task[list[_Outcome]]] = set()
        #: SHA-256 that were asked for since nothing is stored under them, and have not come yet.
        self._absent: set[str] = set()
        #: The bytes of the budget that this stream has.
        self._mine = 0
        self._mine_on_disk = 0
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._pending = asyncio.Semaphore(_AHEAD)

    async def run(
        self, requests: AsyncIterator[pb.PutImagesRequest]
    ) -> AsyncIterator[pb.PutImagesResponse]:
        """A response for each image, or for many, as soon as they are durable, in the order in
        which they came: numbers are given in this order, so that equal imports give equal numbers.

        Raises:
            Invalid: the messages are out of order, or a chunk is too large.
            Unavailable: the database or the store is away.
        """
        reader = asyncio.create_task(self._read(requests))
        reader.add_done_callback(lambda _: self._coming.put_nowait(None))
        try:
            if self._takes_lists:
                yield pb.PutImagesResponse()
            while batch := await self._next_batch():
                outcomes = [outcome for coming in batch for outcome in coming.task.result()]
                responses = await asyncio.to_thread(self._record, outcomes)
                # At once: a client that reads slowly keeps others waiting no longer than this.
                self._give_back(sum(coming.share.size for coming in batch))
                for _ in batch:
                    self._pending.release()
                for result, count in Counter(one.result for one in responses).items():
                    metrics.IMAGES_IMPORTED.labels(_word(result)).inc(count)
                for response in self._messages(responses):
                    yield response
            await reader
        finally:
            left = [reader, *self._begun]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            self._give_back(self._mine)
            self._free(self._mine_on_disk)

    def _messages(
        self, responses: Sequence[pb.PutImagesResponse]
    ) -> Iterable[pb.PutImagesResponse]:
        if not self._takes_lists:
            return responses
        return (
            pb.PutImagesResponse(results=responses[start : start + _RESULTS])
            for start in range(0, len(responses), _RESULTS)
        )

    async def _take(self, size: int) -> None:
        await self._held.take(size)
        self._mine += size

    def _give_back(self, size: int) -> None:
        self._mine -= size
        self._held.give_back(size)

    async def _occupy(self, size: int) -> None:
        await self._on_disk.take(size)
        self._mine_on_disk += size

    def _free(self, size: int) -> None:
        self._mine_on_disk -= size
        self._on_disk.give_back(size)

    async def _next_batch(self) -> list[_Coming]:
        """The next images in order whose bytes are in the store; none at the end."""
        batch: list[_Coming] = []
        count = size = 0
        end = 0.0
        while count < _BATCH:
            if batch and self._first is None and self._coming.empty():
                break
            coming = self._first or await self._coming.get()
            if coming is None:
                # Stays there, for the next look.
                self._coming.put_nowait(None)
                break
            self._first = coming
            if batch:
                wait = end - asyncio.get_running_loop().time()
                if not coming.task.done() and wait > 0:
                    await asyncio.wait([coming.task], timeout=wait)
                if not coming.task.done() or size + coming.share.size > _BATCH_BYTES:
                    break
            self._first = None
            await coming.task
            end = end or asyncio.get_running_loop().time() + _PATIENCE
            count += coming.count
            size += coming.share.size
            batch.append(coming)
            self._begun.discard(coming.task)
        return batch

    async def _read(self, requests: AsyncIterator[pb.PutImagesRequest]) -> None:
        # Nobody is read from before those who wait have their share.
        await self._take(0)
        async for request in requests:
            match request.WhichOneof("message"):
                case "image":
                    await self._read_one(request.image, requests)
                case "images" if self._takes_lists:
                    await self._read_many(request.images)
                case "images":
                    raise Invalid.of("images", "comes only in a stream that is opened with batches")
                case _:
                    raise Invalid.of("message", "an image comes before its chunks")
            await self._take(0)

    async def _read_one(
        self, image: pb.PutImage, requests: AsyncIterator[pb.PutImagesRequest]
    ) -> None:
        has_content = image.WhichOneof("source") == "size"
        fits = image.size <= self._on_disk.limit
        spool = None if not has_content else Spool() if fits else Unkept()
        await self._pending.acquire()
        share = _Share(_needs([image]))
        await self._take(share.size)
        if spool is not None:
            if fits and image.size > IN_MEMORY:
                share.on_disk = image.size
                await self._occupy(share.on_disk)
            await receive(spool, image, requests)
        await self._begin(self._store_one(image, spool, share), share, 1)

    async def _read_many(self, many: pb.PutImageList) -> None:
        images = list(many.images)
        if not 1 <= len(images) <= MAX_LIST:
            raise Invalid.of("images", f"has {len(images)} items; give 1 to {MAX_LIST}")
        if len(images) > 1 and (size := many.ByteSize()) > MAX_LIST_BYTES:
            raise Invalid.of("images", f"has {size} bytes; at most {MAX_LIST_BYTES} are allowed")
        for position, image in enumerate(images):
            if image.WhichOneof("source") in ("size", "object_key"):
                raise Invalid.of(
                    f"images.images[{position}]", "give content or sha256, or send it by itself"
                )
        await self._pending.acquire()
        share = _Share(_needs(images))
        await self._take(share.size)
        await self._begin(self._store_many(images, share), share, len(images))

    async def _begin(
        self, work: Coroutine[None, None, list[_Outcome]], share: _Share, count: int
    ) -> None:
        try:
            await self._slots.acquire()
        except BaseException:
            work.close()
            raise
        task = asyncio.create_task(work)
        self._begun.add(task)
        self._coming.put_nowait(_Coming(task, share, count))

    async def _store_one(
        self, image: pb.PutImage, spool: Spool | None, share: _Share
    ) -> list[_Outcome]:
        try:
            if image.object_key:
                await self._make_room(image.object_key, share)
            if image.sha256 and len(image.annotations) <= _AT_HAND:
                outcome = self._prepare(image, spool)
            else:
                outcome = await asyncio.to_thread(self._prepare, image, spool)
        finally:
            self._slots.release()
            if spool is not None:
                spool.close()
            self._free(share.on_disk)
        if len(image.annotations) > _LARGE:
            # What was parsed is free by now, and goes back before others take it.
            await asyncio.to_thread(trim)
        self._keep(share, [outcome])
        return [outcome]

    async def _store_many(self, images: Sequence[pb.PutImage], share: _Share) -> list[_Outcome]:
        try:
            outcomes = await asyncio.to_thread(self._prepare_all, images)
        finally:
            self._slots.release()
        self._keep(share, outcomes)
        return outcomes

    def _keep(self, share: _Share, outcomes: Sequence[_Outcome]) -> None:
        """Gives back what images need no longer that wait to be recorded."""
        left = min(sum(map(_keeps, outcomes)), share.size)
        self._give_back(share.size - left)
        share.size = left

    async def _make_room(self, key: str, share: _Share) -> None:
        """Takes what a stored object needs on disk while it is measured."""
        try:
            found = await asyncio.to_thread(self._store.stat, self._store.images_bucket, key)
        except StorageError:
            # Reading it fails likewise, and says why.
            return
        if found is not None and IN_MEMORY < found.size <= self._on_disk.limit:
            await self._occupy(found.size)
            share.on_disk = found.size

    def _prepare_all(self, images: Sequence[pb.PutImage]) -> list[_Outcome]:
        return [
            self._prepare(image, Spool.of(image.content) if image.HasField("content") else None)
            for image in images
        ]

    def _prepare(self, image: pb.PutImage, spool: Spool | None) -> _Outcome:
        """Checks an image and sees to it that its bytes are in the store."""
        try:
            check_request(image)
            if image.annotations_sha256:
                if image.annotations or not image.sha256:
                    raise Invalid.of("annotations_sha256", "comes with sha256, and no annotations")
                return check_offer(
                    image.path, image.status, image.split, image.sha256, image.annotations_sha256
                )
            checked = check_image(image.path, image.status, image.split, image.annotations)
            if spool is not None:
                if image.HasField("content"):
                    if spool.size > IN_MEMORY:
                        raise Invalid.of(
                            "content", f"is above {IN_MEMORY} bytes; send it in chunks"
                        )
                elif image.size > self._on_disk.limit:
                    raise Invalid.of("size", f"is above {self._on_disk.limit} bytes, {_TOO_LARGE}")
                elif spool.size != image.size:
                    raise Invalid.of("size", f"says {image.size} bytes; {spool.size} came")
                content = store_content(
                    self._database, self._store, self._organization_id, spool, self._absent
                )
                self._absent.discard(content.sha256)
                metrics.IMPORT_BYTES.inc(spool.size)
            elif image.object_key:
                content = stored_content(
                    self._store, self._organization_id, image.object_key, self._on_disk.limit
                )
            elif image.sha256:
                return _Ready(checked, image.sha256)
            else:
                raise Invalid.of("source", "give size, object_key, sha256 or content")
            return _Ready(checked, content)
        except Unavailable:
            raise
        except StorageError as error:
            # Whose bucket or key it is, and what to do about it, is the operator's to know.
            logger.warning("an image was not stored", extra={"error": str(error)})
            raise Unavailable(
                "STORE_UNAVAILABLE", "The object store does not take images now; try again later."
            ) from error
        except CartoucheError as error:
            return rejection_message(image.path, error.reason, error.message)

    def _record(self, batch: Sequence[_Outcome]) -> list[pb.PutImagesResponse]:
        """Makes a batch durable; the responses are in its order."""
        return [response for run in _runs(batch) for response in self._record_run(run)]

    def _record_run(self, run: Sequence[_Outcome]) -> list[pb.PutImagesResponse]:
        contents = self._contents_of(run)
        offers = [item for item in run if isinstance(item, Offer)]
        unchanged = unchanged_images(self._database, self._dataset_id, offers, contents)
        responses: dict[int, pb.PutImagesResponse] = {}
        waiting: dict[int, tuple[CheckedImage, Content]] = {}
        for position, item in enumerate(run):
            if isinstance(item, pb.PutImagesResponse):
                responses[position] = item
            elif isinstance(item, Offer):
                found = unchanged.get(item.path)
                responses[position] = (
                    stored_message(found)
                    if found
                    else _needed(item.path, only_annotations=item.sha256 in contents)
                )
            else:
                content = item.content
                said = contents.get(content) if isinstance(content, str) else content
                if said is None:
                    responses[position] = _needed(item.image.path)
                else:
                    waiting[position] = item.image, said
        if waiting:
            put = list(waiting.values())
            stored = put_images(self._database, self._organization_id, self._dataset_id, put)
            responses.update(zip(waiting, map(stored_message, stored), strict=True))
            self._drop_spares(put, stored)
        return [responses[position] for position in range(len(run))]

    def _drop_spares(
        self, put: Sequence[tuple[CheckedImage, Content]], stored: Sequence[StoredImage]
    ) -> None:
        """Removes bytes that another stream stored at the same time under another key."""
        for (_, content), image in zip(put, stored, strict=True):
            key = content.object_key
            if content.is_fresh and image.object_key != key:
                try:
                    self._store.delete(self._store.images_bucket, key)
                except StorageError:
                    # The inventory finds it.
                    logger.warning("a spare object was not removed", extra={"key": key})

    def _contents_of(self, run: Sequence[_Outcome]) -> dict[str, Content]:
        """What is stored under the hashes that images name."""
        contents = [item.content for item in run if isinstance(item, _Ready)]
        said = {content for content in contents if isinstance(content, str)}
        said.update(item.sha256 for item in run if isinstance(item, Offer))
        if not said:
            return {}
        known, absent = find_contents(self._database, self._organization_id, said)
        self._absent |= absent
        return known | {c.sha256: c for c in contents if isinstance(c, Content)}


def _runs(batch: Sequence[_Outcome]) -> Iterator[list[_Outcome]]:
    """A batch in pieces in which no path comes twice: one that does goes in twice, in order."""
    run: list[_Outcome] = []
    paths: set[str] = set()
    for item in batch:
        path = item.image.path if isinstance(item, _Ready) else item.path
        if path in paths:
            yield run
            run, paths = [], set()
        run.append(item)
        paths.add(path)
    yield run


def _needed(path: str, *, only_annotations: bool = False) -> pb.PutImagesResponse:
    needed = (
        pb.PUT_IMAGE_RESULT_ANNOTATIONS_NEEDED
        if only_annotations
        else pb.PUT_IMAGE_RESULT_CONTENT_NEEDED
    )
    return pb.PutImagesResponse(path=path, result=needed)


def _word(result: pb.PutImageResult.ValueType) -> str:
    name = pb.PutImageResult.Name(result)
    return name.removeprefix("PUT_IMAGE_RESULT_").lower()


def _needs(images: Sequence[pb.PutImage]) -> int:
    """Memory that the images of a message take at most until they can be recorded."""
    return sum(map(_holds, images)) + (_PARSED - _WAITING) * max(map(_parses, images))


def _holds(image: pb.PutImage) -> int:
    match image.WhichOneof("source"):
        case "size":
            content = min(image.size, IN_MEMORY)
        case "object_key":
            content = IN_MEMORY
        case _:
            content = len(image.content)
    return _IMAGE + content + (_WAITING if _parses(image) else 1) * len(image.annotations)


def _parses(image: pb.PutImage) -> int:
    """Bytes of annotations that are parsed: what is too large never is."""
    size = len(image.annotations)
    return size if size <= MAX_DOCUMENT else 0


def _keeps(outcome: _Outcome) -> int:
    """Memory of an image that waits to be recorded."""
    if not isinstance(outcome, _Ready):
        return _IMAGE
    annotations = outcome.image.annotations
    return _IMAGE + _RECORDED * len(annotations.document) + _ANNOTATION * annotations.count


async def receive(
    spool: Spool,
    image: pb.PutImage,
    requests: AsyncIterator[pb.PutImagesRequest],
    silence: float = _SILENCE,
) -> None:
    """Takes the chunks of one image, each of which may be `silence` seconds late.

    Raises:
        Invalid: too few bytes came before the next image, or a chunk or image is too large.
        Unavailable: nothing came for too long.
    """
    if image.size > MAX_BYTES:
        raise Invalid.of("size", "images above 4 GiB are refused; use smaller images")
    while spool.size < image.size:
        try:
            async with asyncio.timeout(silence):
                request = await anext(requests, None)
        except TimeoutError:
            raise Unavailable(
                "CLIENT_SILENT",
                f"Nothing came of {quoted(image.path)} for {silence:.0f} seconds, while others "
                "wait; connect again, and send it again.",
            ) from None
        if request is None or request.WhichOneof("message") != "chunk":
            raise Invalid.of(
                "chunk", f"{quoted(image.path)}: only {spool.size} of {image.size} bytes came"
            )
        if len(request.chunk) > MAX_CHUNK:
            raise Invalid.of("chunk", f"at most {MAX_CHUNK} bytes at once are allowed")
        spool.write(request.chunk)
