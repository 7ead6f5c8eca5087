"""Attacks on a running stack, over its own ports. Each makes one request from random values, and
looks at how it ends."""

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any
from urllib.parse import quote

import grpc
from cartouche.catalog.v1 import catalog_service_pb2 as catalog_pb
from google.protobuf.descriptor import MethodDescriptor

from tests.datasets import Picture, bbox, jpeg, put_all, unique
from tests.exports import completed
from tests.fuzz.values import Source
from tests.rpcs import METHODS, call_raw
from tests.stack import ROLES, Stack

EXPORTS = "/api/v1/developer/exports"
#: The other roots of the API, and what has none.
OTHERS = ("/api/v1/developer/datasets", "/api/v1/developer/formats", "/api/v1/developer", "")
#: Seconds for an answer; what takes longer hangs.
PATIENCE = 30.0
#: Seconds for what may be no whole request.
GLANCE = 0.3

#: How a call may end; that a part is full or away is none of a caller's doing.
ENDS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}


@dataclass(frozen=True)
class Target:
    """What is attacked, and what may be named there."""

    stack: Stack
    known: tuple[str, ...]

    @classmethod
    def on(cls, stack: Stack) -> "Target":
        """A stack with something to find on it."""
        dataset = unique("fuzz")
        put_all(stack, dataset, [Picture("a.jpg", jpeg(), [bbox("car")])])
        export = completed(stack, dataset, "first")
        return cls(stack, (dataset, "first", export.id, "car", "a.jpg"))


Attack = Callable[[Target, Source], None]


def attacks() -> dict[str, Attack]:
    """Every attack by its name."""
    rpcs = {
        f"{name} {kind}": partial(attack, method=method)
        for name, method in METHODS.items()
        for kind, attack in (("messages", _messages), ("bytes", _bytes))
    }
    return {
        "REST requests": _request,
        "REST bytes": _request_bytes,
        **rpcs,
        "image streams": _images,
    }


def replay(target: Target, attack: Attack, seed: str) -> None:
    """One case."""
    attack(target, Source(Random(seed), target.known))


def _metadata(target: Target, source: Source) -> tuple[tuple[str, str], ...]:
    kind = source.random.random()
    if kind < 0.05:
        return ()
    if kind < 0.1:
        return (("x-api-key", "pk_live_" + "0" * 32),)
    return target.stack.metadata(source.random.choice(ROLES))


def _call(target: Target, source: Source, method: MethodDescriptor, sent: list[bytes]) -> None:
    try:
        call_raw(target.stack, method, sent, _metadata(target, source), PATIENCE)
    except grpc.RpcError as error:
        refused = error
    else:
        return None
    said = refused.details() or ""
    if "max_age" in said:
        # The connection was old, and ended at this very moment: callers call again.
        return _call(target, source, method, sent)
    # gRPC itself ends what is longer than any message that is taken.
    is_too_long = "message larger than max" in said
    assert refused.code() in ENDS or is_too_long, refused
    return None


def _requests(source: Source, method: MethodDescriptor) -> list[bytes]:
    count = source.random.choice((0, 1, 2, 4)) if method.client_streaming else 1
    return [source.message(method.input_type).SerializeToString() for _ in range(count)]


def _messages(target: Target, source: Source, method: MethodDescriptor) -> None:
    _call(target, source, method, _requests(source, method))


def _bytes(target: Target, source: Source, method: MethodDescriptor) -> None:
    sent = [source.spoilt(data) for data in _requests(source, method)]
    _call(target, source, method, sent or [source.data()])


def _images(target: Target, source: Source) -> None:
    """A stream that would be good, with messages out of order, left out, doubled or spoilt."""
    batches = source.random.random() < 0.5
    opening = catalog_pb.PutImagesOpen(dataset_name="fuzzed", create_dataset=True, batches=batches)
    messages = [catalog_pb.PutImagesRequest(open=opening)]
    for number in range(source.random.choice((1, 2, 5))):
        data = jpeg(seed=number)
        if source.random.random() < 0.5:
            data = source.spoilt(data)
        said = (
            len(data) if source.random.random() < 0.7 else source.random.choice((0, 1, 2**33, -1))
        )
        chunk = source.random.choice((100, 1_000, 100_000))
        text = json.dumps([bbox("car")]).encode()
        annotations = text if source.random.random() < 0.5 else source.spoilt(text)
        path = f"{number}.jpg" if source.random.random() < 0.7 else source.text()
        picture = Picture(path, data, annotations, said_size=said, chunk=chunk)
        try:
            messages += picture.requests()
        except ValueError:
            continue
    if source.random.random() < 0.5:
        messages.insert(source.random.randrange(1, len(messages) + 1), _list(source))
    match source.random.randrange(4):
        case 0:
            source.random.shuffle(messages)
        case 1:
            del messages[source.random.randrange(len(messages)) :]
        case 2:
            messages.insert(source.random.randrange(len(messages)), source.random.choice(messages))
    sent = [message.SerializeToString() for message in messages]
    if source.random.random() < 0.1:
        at = source.random.randrange(len(sent)) if sent else 0
        sent[at : at + 1] = [source.spoilt(data) for data in sent[at : at + 1]]
    if source.random.random() < 0.1:
        _hang_up(target, source, sent)
    else:
        _call(target, source, METHODS["PutImages"], sent)


def _list(source: Source) -> catalog_pb.PutImagesRequest:
    """Many images in one message, in bytes or in sums, some of them spoilt."""
    images = []
    for number in range(source.random.choice((0, 1, 5, 50))):
        image = catalog_pb.PutImage(path=f"{source.random.randrange(9)}.jpg")
        data = jpeg(seed=number % 5)
        text = json.dumps([bbox("car")]).encode()
        match source.random.randrange(5):
            case 0:
                image.content = source.spoilt(data)
            case 1:
                image.object_key = source.text()
            case 2:
                image.sha256 = source.text()
                image.annotations_sha256 = source.spoilt(text)
            case 3:
                image.sha256 = hashlib.sha256(data).hexdigest()
                image.annotations_sha256 = hashlib.sha256(text).digest()
            case _:
                image.content, image.annotations = data, text
        images.append(image)
    return catalog_pb.PutImagesRequest(images=catalog_pb.PutImageList(images=images))


def _hang_up(target: Target, source: Source, sent: list[bytes]) -> None:
    """A client that goes away in the middle of a stream, or takes no answer."""
    many: Any = target.stack.channel.stream_stream("/cartouche.catalog.v1.CatalogService/PutImages")
    call = many(iter(sent), metadata=_metadata(target, source), timeout=PATIENCE)
    time.sleep(source.random.choice((0, 0.001, 0.01)))
    call.cancel()


def _http(target: Target, source: Source) -> bytes:
    """A request that HTTP takes, whatever it asks for."""
    random = source.random
    root = random.choice((EXPORTS,) * 6 + OTHERS)
    parts = [root, *(_segment(source) for _ in range(random.choice((0, 0, 1, 1, 2, 2, 3))))]
    if random.random() < 0.2:
        parts.append(random.choice(("download", "retry", "cancel", "bulk-delete", "preview", "")))
    path = "/".join(parts) or "/"
    if random.random() < 0.3:
        names = ("dataset", "dataset_name", "limit", "offset", "status", "format", "search", "x")
        path += "?" + "&".join(
            f"{random.choice(names)}={_segment(source)}" for _ in range(random.choice((1, 2, 3)))
        )
    method = random.choice(("GET", "GET", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"))
    body = b""
    if method in ("POST", "PUT", "DELETE"):
        body = _body(source)
    headers = {"Host": "fuzz", "Content-Length": str(len(body))}
    if random.random() < 0.9:
        headers["X-API-Key"] = target.stack.key(random.choice(ROLES))
    for name in ("User-Agent", "Idempotency-Key", "X-Request-Id", "Accept", "Content-Type"):
        if random.random() < 0.2:
            value = random.choice((_segment(source), "pictograph-python/1.61.0", "a" * 300))
            headers[name] = value[:2_000]
    if random.random() < 0.1:
        headers["Accept"] = "text/event-stream"
    if body and random.random() < 0.2:
        del headers["Content-Length"]
        headers["Transfer-Encoding"] = "chunked"
        body = _chunked(body, random)
    lines = [f"{method} {path[:7_000]} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _chunked(body: bytes, random: Random) -> bytes:
    size = random.choice((1, 100, 65_536)) if len(body) < 5_000 else 65_536
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


def _segment(source: Source) -> str:
    return quote(source.text()[:1_000], safe=source.random.choice(("", "/", "%")))


def _body(source: Source) -> bytes:
    random = source.random
    good = {
        "dataset_name": source.known[0],
        "name": source.text(),
        "format": random.choice(("csv", "coco", "yolo")),
        "include_images": False,
        "class_filter": ["car"],
        "status_filter": "complete",
        "export_ids": [source.text()[:200]],
    }
    for name in list(good):
        if random.random() < 0.3:
            good[name] = source.value()
        elif random.random() < 0.1:
            del good[name]
    whole = json.dumps(good if random.random() < 0.8 else source.value()).encode()
    return whole if random.random() < 0.8 else source.spoilt(whole)


def _request(target: Target, source: Source) -> None:
    sent = _http(target, source)
    answer = _answer(target, [sent], PATIENCE)
    assert answer.startswith(b"HTTP/1.1 "), (sent[:2_000], answer[:200])
    _check(sent, answer)


def _request_bytes(target: Target, source: Source) -> None:
    sent = source.spoilt(_http(target, source))
    cut = source.random.randrange(len(sent) + 1)
    _check(sent, _answer(target, [sent[:cut], sent[cut:]], GLANCE))


def _answer(target: Target, sent: list[bytes], patience: float) -> bytes:
    """The beginning of what comes back, or nothing."""
    with socket.create_connection(("127.0.0.1", target.stack.http_port), timeout=PATIENCE) as port:
        with suppress(OSError):
            for part in sent:
                port.sendall(part)
        port.settimeout(patience)
        try:
            return port.recv(65_536)
        except TimeoutError:
            return b""
        except ConnectionResetError:
            return b""


def _check(sent: bytes, answer: bytes) -> None:
    for line in _status_lines(answer):
        status = int(line.split()[1])
        assert 100 <= status < 500, (sent[:2_000], answer[:2_000])
    if answer:
        assert b"x-request-id" in answer.lower(), answer[:2_000]
        assert b"Traceback" not in answer


def _status_lines(answer: bytes) -> Iterator[bytes]:
    if answer:
        yield answer.partition(b"\r\n")[0]
