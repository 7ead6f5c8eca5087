"""The storage adapter against a real MinIO and a real rclone server."""

import hashlib
import subprocess
import sys
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from services.storage import (
    ObjectNotFound,
    ObjectStore,
    StorageConfig,
    StorageRefused,
    StorageUnavailable,
    UploadNotFound,
)
from tests import parts
from tests.needs import need_part

IMAGES, EXPORTS = "images", "exports"
MIB = 1024 * 1024
PART = 5 * MIB
ODD_KEYS = (
    "a b",
    "a+b",
    "a%20b",
    "a?b&c=d",
    "a#b",
    "q\"'<>",
    "[~]*|^`",
    "back\\slash",
    "tab\tnewline\n",
    "ü/é/日本.jpg",
    "e\u0301",
)


def config_of(server: parts.ObjectStore) -> StorageConfig:
    links = server.signing_user(EXPORTS)
    return StorageConfig(
        endpoint=server.endpoint,
        public_endpoint=server.endpoint,
        region=parts.REGION,
        access_key=server.credentials.access_key,
        secret_key=server.credentials.secret_key,
        signing_access_key=links.access_key,
        signing_secret_key=links.secret_key,
        images_bucket=IMAGES,
        exports_bucket=EXPORTS,
    )


def started(kind: type[parts.ObjectStore]) -> Iterator[parts.ObjectStore]:
    need_part(kind)
    server = kind()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="module", params=[parts.MinIO, parts.Rclone], ids=["minio", "rclone"])
def server(request: pytest.FixtureRequest) -> Iterator[parts.ObjectStore]:
    yield from started(request.param)


@pytest.fixture(scope="module")
def store(server: parts.ObjectStore) -> Iterator[ObjectStore]:
    store = ObjectStore(config_of(server))
    store.ensure_buckets()
    yield store
    store.close()


@pytest.fixture
def is_minio(server: parts.ObjectStore) -> bool:
    return isinstance(server, parts.MinIO)


@pytest.fixture(params=[parts.MinIO, parts.Rclone], ids=["minio", "rclone"])
def own_server(request: pytest.FixtureRequest) -> Iterator[parts.ObjectStore]:
    """A server that the test may kill."""
    yield from started(request.param)


def noise(size: int, seed: int = 0) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4, "big")).digest(size)


def open_url(url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


# Buckets


def test_buckets_are_made_once_and_the_store_is_ready(store: ObjectStore) -> None:
    store.ensure_buckets()
    store.ready()


def test_ready_names_the_missing_bucket(store: ObjectStore) -> None:
    other = ObjectStore(replace(store.config, images_bucket="absent"))
    with pytest.raises(StorageRefused, match=r"absent.*CARTOUCHE_S3_IMAGES_BUCKET") as caught:
        other.ready()
    assert caught.value.code == "NoSuchBucket"
    with pytest.raises(StorageRefused, match="absent"):
        other.get("absent", "key")
    other.close()


def test_wrong_credentials_are_refused_with_advice(store: ObjectStore) -> None:
    other = ObjectStore(replace(store.config, secret_key="wrong" * 4))
    store.put(IMAGES, "present", b"x")
    with pytest.raises(StorageRefused):
        other.ready()
    for call in (
        lambda: other.get(IMAGES, "present"),
        lambda: other.put(IMAGES, "present", b"y"),
        lambda: list(other.list(IMAGES)),
        lambda: other.create_upload("k"),
        lambda: list(other.list_uploads()),
    ):
        with pytest.raises(StorageRefused, match="CARTOUCHE_S3_SECRET_KEY"):
            call()
    other.close()


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://x", "http://", "http://x/path"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    fields = ("x",) * 7
    with pytest.raises(ValueError, match="CARTOUCHE_S3_PUBLIC_ENDPOINT"):
        StorageConfig("http://127.0.0.1:9000", endpoint, *fields)


def test_the_environment_of_other_clients_changes_nothing(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.setenv(name, "other")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    other = ObjectStore(store.config)
    other.put(IMAGES, "environment", b"same")
    assert other.get(IMAGES, "environment") == b"same"
    assert other.stat(IMAGES, "environment") is not None
    other.close()


# Whole objects


@pytest.mark.parametrize("size", [0, 1, 300_000, 3 * MIB + 1])
def test_objects_come_back_as_they_were_put(store: ObjectStore, size: int) -> None:
    data = noise(size)
    before = datetime.now(UTC) - timedelta(seconds=5)
    assert store.put(IMAGES, "round/trip", data)
    assert store.get(IMAGES, "round/trip") == data
    assert b"".join(store.stream(IMAGES, "round/trip", 100_000)) == data
    info = store.stat(IMAGES, "round/trip")
    assert info is not None
    assert (info.key, info.size) == ("round/trip", size)
    assert before < info.modified_at < datetime.now(UTC) + timedelta(seconds=5)


def test_stream_gives_chunks_of_the_size_asked_for(store: ObjectStore) -> None:
    store.put(IMAGES, "chunks", noise(250_000))
    assert [len(c) for c in store.stream(IMAGES, "chunks", 100_000)] == [100_000, 100_000, 50_000]


def test_a_stream_left_early_harms_no_later_call(store: ObjectStore) -> None:
    store.put(IMAGES, "left", noise(2 * MIB))
    for _ in range(20):
        stream = store.stream(IMAGES, "left", 1000)
        assert len(next(stream)) == 1000
    assert store.get(IMAGES, "left") == noise(2 * MIB)
    assert b"".join(store.stream(IMAGES, "left")) == noise(2 * MIB)


def test_odd_keys(store: ObjectStore) -> None:
    for key in ODD_KEYS:
        name = f"odd/{key}"
        store.put(IMAGES, name, key.encode())
        assert store.get(IMAGES, name) == key.encode()
        assert b"".join(store.stream(IMAGES, name)) == key.encode()
        assert store.stat(IMAGES, name) is not None
    names = {f"odd/{key}" for key in ODD_KEYS}
    assert {info.key for info in store.list(IMAGES, "odd/")} == names
    items = [(name, 10) for name in sorted(names)]
    found = [b"".join(chunks).decode() for chunks in store.read_many(IMAGES, items)]
    assert found == [name.removeprefix("odd/") for name in sorted(names)]
    assert store.delete_prefix(IMAGES, "odd/") == len(ODD_KEYS)


@pytest.mark.parametrize("key", ["", "a/../b", "./a"])
def test_a_key_that_no_store_holds_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(StorageRefused):
        store.put(IMAGES, key, b"x")
    with pytest.raises(StorageRefused):
        store.get(IMAGES, key)


def test_what_is_absent(store: ObjectStore) -> None:
    assert store.stat(IMAGES, "absent") is None
    store.delete(IMAGES, "absent")
    assert list(store.list(IMAGES, "absent/")) == []
    assert store.delete_prefix(IMAGES, "absent/") == 0
    reads: tuple[Callable[[], object], ...] = (
        lambda: store.get(IMAGES, "absent"),
        lambda: next(store.stream(IMAGES, "absent")),
        lambda: store.read_range(IMAGES, "absent", 0, 1),
        lambda: next(next(store.read_many(IMAGES, [("absent", 1)]))),
    )
    for read in reads:
        with pytest.raises(ObjectNotFound, match="absent") as caught:
            read()
        assert caught.value.key == "absent"


def test_put_stream_of_small_chunks(store: ObjectStore) -> None:
    data = noise(1_000_003)
    chunks = (data[i : i + 777] for i in range(0, len(data), 777))
    store.put_stream(IMAGES, "streamed", len(data), chunks)
    assert store.get(IMAGES, "streamed") == data
    store.put_stream(IMAGES, "streamed", 0, iter(()))
    assert store.get(IMAGES, "streamed") == b""


def broken_body() -> Iterator[bytes]:
    yield noise(MIB)
    raise InterruptedError("the source broke")


@pytest.mark.parametrize(("length", "chunks"), [(MIB, [noise(MIB), b"x"]), (MIB + 1, [noise(MIB)])])
def test_a_body_of_another_length_stores_nothing(
    store: ObjectStore, length: int, chunks: list[bytes]
) -> None:
    key = f"wrong-length/{length}"
    with pytest.raises(ValueError, match="bytes announced"):
        store.put_stream(IMAGES, key, length, iter(chunks))
    sleep(0.2)
    assert store.stat(IMAGES, key) is None


def test_a_body_that_raises_stores_nothing_and_its_error_comes_out(store: ObjectStore) -> None:
    store.put(IMAGES, "broken", b"before")
    # An OSError, which must not be taken for one of the network.
    with pytest.raises(InterruptedError, match="the source broke"):
        store.put_stream(IMAGES, "broken", 2 * MIB, broken_body())
    sleep(0.2)
    assert store.get(IMAGES, "broken") == b"before"


def test_an_interrupt_stores_nothing_and_leaves_the_store_usable(store: ObjectStore) -> None:
    class TimeLimit(BaseException):
        """As Dramatiq interrupts a thread."""

    def body() -> Iterator[bytes]:
        yield noise(MIB)
        raise TimeLimit

    upload = store.create_upload("interrupted")
    with pytest.raises(TimeLimit):
        store.upload_part("interrupted", upload, 1, 2 * MIB, body())
    store.abort_upload("interrupted", upload)
    store.put(IMAGES, "after", b"fine")
    assert store.get(IMAGES, "after") == b"fine"


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 10), (5, 1), (1_000_000, 2_000_000), (3_000_000, 500_000), (9_999_999, 1)],
)
def test_ranges(store: ObjectStore, offset: int, length: int) -> None:
    data = noise(3 * MIB, 7)
    if store.stat(IMAGES, "ranges") is None:
        store.put(IMAGES, "ranges", data)
    assert store.read_range(IMAGES, "ranges", offset, length) == data[offset : offset + length]
    assert store.read_range(IMAGES, "ranges", offset, 0) == b""


def test_list_and_delete_by_prefix(store: ObjectStore) -> None:
    keys = [f"tree/{a}/{b}" for a in range(3) for b in range(4)]
    for key in [*keys, "tree2/other"]:
        store.put(EXPORTS, key, key.encode())
    assert [i.key for i in store.list(EXPORTS, "tree/")] == keys
    assert [(i.key, i.size) for i in store.list(EXPORTS, "tree/1/")] == [(k, 8) for k in keys[4:8]]
    assert store.delete_prefix(EXPORTS, "tree/1/") == 4
    assert [i.key for i in store.list(EXPORTS, "tree")] == [*keys[:4], *keys[8:], "tree2/other"]
    store.delete(EXPORTS, "tree2/other")
    assert store.stat(EXPORTS, "tree2/other") is None
    with pytest.raises(ValueError, match="whole bucket"):
        store.delete_prefix(EXPORTS, "")


# Many objects


def test_many_objects_come_in_order(store: ObjectStore) -> None:
    contents = {f"many/{i:03}": noise(1000 + 700 * (i % 5), i) for i in range(60)}
    contents["many/030"] = noise(9 * MIB, 30)
    for key, data in contents.items():
        store.put(IMAGES, key, data)
    order = [*sorted(contents), "many/030", "many/000"]
    items = ((key, len(contents[key])) for key in order)
    found = []
    for chunks in store.read_many(IMAGES, items, concurrency=4, window_bytes=100_000):
        found.append(b"".join(chunks))
    assert found == [contents[key] for key in order]


def test_many_objects_stay_within_the_window(store: ObjectStore) -> None:
    data = noise(MIB)
    for i in range(8):
        store.put(IMAGES, f"window/{i}", data)
    store.put(IMAGES, "window/large", noise(24 * MIB))
    small = [(f"window/{i % 8}", MIB) for i in range(64)]
    items = [*small, ("window/large", 24 * MIB), *small]
    tracemalloc.start()
    try:
        total = 0
        for chunks in store.read_many(IMAGES, items, window_bytes=8 * MIB):
            total += sum(len(chunk) for chunk in chunks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 152 * MIB
    assert peak < 12 * MIB


def test_many_objects_left_early_end_their_reads(store: ObjectStore) -> None:
    store.put(IMAGES, "early", b"x")
    reader = store.read_many(IMAGES, [("early", 1)] * 1000)
    assert next(next(reader)) == b"x"
    reader.close()  # type: ignore[attr-defined]
    assert [next(c) for c in store.read_many(IMAGES, [("early", 1)] * 3)] == [b"x"] * 3


def test_a_missing_object_is_raised_at_its_place(store: ObjectStore) -> None:
    store.put(IMAGES, "there", b"x")
    reader = store.read_many(IMAGES, [("there", 1), ("gone", 1), ("there", 1)])
    assert next(next(reader)) == b"x"
    with pytest.raises(ObjectNotFound, match="gone"):
        next(reader)


# Multipart uploads


def test_parts_in_order_make_the_archive(store: ObjectStore) -> None:
    data = noise(2 * PART + 123)
    upload = store.create_upload("archive.zip")
    pieces = [data[i : i + PART] for i in range(0, len(data), PART)]
    etags = [
        (n, store.upload_part("archive.zip", upload, n, len(p), iter([p[:100], p[100:]])))
        for n, p in enumerate(pieces, 1)
    ]
    store.complete_upload("archive.zip", upload, etags)
    assert store.get(EXPORTS, "archive.zip") == data
    assert list(store.list_uploads("archive.zip")) == []
    with pytest.raises(UploadNotFound):
        store.complete_upload("archive.zip", upload, etags)


def test_parts_out_of_order_and_again(store: ObjectStore, is_minio: bool) -> None:
    data = noise(2 * PART + 123)
    upload = store.create_upload("shuffled.zip")
    pieces = {1: data[:PART], 2: data[PART : 2 * PART], 3: data[2 * PART :]}
    if is_minio:
        store.upload_part("shuffled.zip", upload, 2, PART, noise(PART, 99))
    etags = [
        (n, store.upload_part("shuffled.zip", upload, n, len(pieces[n]), pieces[n]))
        for n in (3, 1, 2)
    ]
    store.complete_upload("shuffled.zip", upload, etags)
    assert store.get(EXPORTS, "shuffled.zip") == data


def test_a_part_whose_body_raises_is_not_stored(store: ObjectStore) -> None:
    data = noise(PART + 10)
    upload = store.create_upload("part-error.zip")
    with pytest.raises(InterruptedError, match="the source broke"):
        store.upload_part("part-error.zip", upload, 1, PART, broken_body())
    etags = [
        (1, store.upload_part("part-error.zip", upload, 1, PART, data[:PART])),
        (2, store.upload_part("part-error.zip", upload, 2, 10, data[PART:])),
    ]
    store.complete_upload("part-error.zip", upload, etags)
    assert store.get(EXPORTS, "part-error.zip") == data


def test_only_a_broken_part_cannot_be_completed(store: ObjectStore) -> None:
    upload = store.create_upload("never.zip")
    with pytest.raises(InterruptedError):
        store.upload_part("never.zip", upload, 1, PART, broken_body())
    sleep(0.2)
    with pytest.raises(StorageRefused):
        store.complete_upload("never.zip", upload, [(1, hashlib.md5(noise(MIB)).hexdigest())])
    store.abort_upload("never.zip", upload)
    assert store.stat(EXPORTS, "never.zip") is None


def test_small_parts_are_refused_by_minio(store: ObjectStore, is_minio: bool) -> None:
    upload = store.create_upload("small.zip")
    etags = [(n, store.upload_part("small.zip", upload, n, 1000, noise(1000))) for n in (1, 2)]
    if is_minio:
        with pytest.raises(StorageRefused, match="5 MiB") as caught:
            store.complete_upload("small.zip", upload, etags)
        assert caught.value.code == "EntityTooSmall"
    else:
        store.complete_upload("small.zip", upload, etags)
        assert store.get(EXPORTS, "small.zip") == noise(1000) * 2
    store.abort_upload("small.zip", upload)


def test_an_aborted_upload_is_not_found(store: ObjectStore) -> None:
    upload = store.create_upload("aborted.zip")
    store.upload_part("aborted.zip", upload, 1, 10, b"0123456789")
    store.abort_upload("aborted.zip", upload)
    store.abort_upload("aborted.zip", upload)
    # The whole body is on its way when the server refuses it.
    for body in (b"x", noise(16 * MIB)):
        with pytest.raises(UploadNotFound) as caught:
            store.upload_part("aborted.zip", upload, 1, len(body), body)
        assert caught.value.upload_id == upload
    with pytest.raises(UploadNotFound):
        store.complete_upload("aborted.zip", upload, [(1, "0" * 32)])
    assert store.stat(EXPORTS, "aborted.zip") is None


def test_unfinished_uploads_are_listed(store: ObjectStore) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    ids = {key: store.create_upload(key) for key in ("list/ü 1.zip", "list/2.zip", "list2/3.zip")}
    found = {u.key: u for u in store.list_uploads("list/")}
    assert {key: u.upload_id for key, u in found.items()} == {
        key: ids[key] for key in ("list/ü 1.zip", "list/2.zip")
    }
    assert before < found["list/2.zip"].started_at < datetime.now(UTC) + timedelta(seconds=5)
    assert {u.upload_id for u in store.list_uploads()} >= set(ids.values())
    assert [u.upload_id for u in store.list_uploads("list2/3.zip")] == [ids["list2/3.zip"]]
    for key, upload in ids.items():
        store.abort_upload(key, upload)
    assert list(store.list_uploads("list")) == []


# Links


def test_a_link_downloads_without_credentials(store: ObjectStore) -> None:
    data = noise(100_000)
    store.put(EXPORTS, "o/ü 1.zip", data)
    name = 'straße "1" 100%.zip'
    link = store.sign_download("o/ü 1.zip", name, timedelta(minutes=5))
    status, headers, content = open_url(link)
    assert (status, content) == (200, data)
    assert headers["Content-Type"] == "application/zip"
    assert headers["Content-Disposition"] == (
        'attachment; filename="stra_e _1_ 100_.zip"; '
        "filename*=UTF-8''stra%C3%9Fe%20%221%22%20100%25.zip"
    )
    assert open_url(link, {"Range": "bytes=10-19"})[2] == data[10:20]


def test_a_link_expires(store: ObjectStore, is_minio: bool) -> None:
    store.put(EXPORTS, "expiring.zip", b"x")
    link = store.sign_download("expiring.zip", "x.zip", timedelta(seconds=1))
    assert open_url(link)[0] == 200
    deadline = monotonic() + 10
    while (answer := open_url(link))[0] == 200 and monotonic() < deadline:
        sleep(0.2)
    if is_minio:
        assert answer[0] == 403
    else:
        assert answer[0] == 400
        assert b"request time" in answer[2]


def test_a_changed_link_is_refused(store: ObjectStore) -> None:
    store.put(EXPORTS, "mine.zip", b"x")
    store.put(EXPORTS, "theirs.zip", b"x")
    link = store.sign_download("mine.zip", "x.zip", timedelta(minutes=5))
    assert open_url(link.replace("mine.zip", "theirs.zip", 1))[0] == 403


def test_a_link_names_the_public_endpoint_without_a_call(store: ObjectStore) -> None:
    public = ObjectStore(replace(store.config, public_endpoint="https://files.example.com"))
    link = public.sign_download("a/b.zip", "b.zip", timedelta(days=7))
    assert link.startswith("https://files.example.com/exports/a/b.zip?")
    with pytest.raises(ValueError, match="7 days"):
        public.sign_download("a/b.zip", "b.zip", timedelta(days=8))


# rclone's server has one pair of keys.
@pytest.mark.parametrize("server", [parts.MinIO], ids=["minio"], indirect=True)
def test_links_are_signed_by_a_user_that_can_only_read(store: ObjectStore) -> None:
    store.put(EXPORTS, "read-only.zip", b"x")
    config = store.config
    link = store.sign_download("read-only.zip", "x.zip", timedelta(minutes=5))
    assert config.signing_access_key in link
    assert config.access_key not in link
    as_signer = ObjectStore(
        replace(config, access_key=config.signing_access_key, secret_key=config.signing_secret_key)
    )
    assert as_signer.get(EXPORTS, "read-only.zip") == b"x"
    with pytest.raises(StorageRefused, match="allow these credentials"):
        as_signer.put(EXPORTS, "read-only.zip", b"y")
    with pytest.raises(StorageRefused):
        as_signer.get(IMAGES, "any")
    with pytest.raises(StorageRefused):
        list(as_signer.list(EXPORTS))
    as_signer.close()


# A store that goes away


def test_a_dead_store_is_unavailable_and_a_restarted_one_works(
    own_server: parts.ObjectStore,
) -> None:
    store = ObjectStore(config_of(own_server))
    store.ensure_buckets()
    store.put(IMAGES, "kept", noise(9 * MIB))
    upload = store.create_upload("k.zip")
    stream = store.stream(IMAGES, "kept", 1000)
    next(stream)
    own_server.kill()
    for call in (
        store.ready,
        lambda: store.get(IMAGES, "kept"),
        lambda: store.put(IMAGES, "kept", b"x"),
        lambda: store.put_stream(IMAGES, "kept", 1, iter([b"x"])),
        lambda: store.read_range(IMAGES, "kept", 0, 1),
        lambda: store.stat(IMAGES, "kept"),
        lambda: list(store.list(IMAGES)),
        lambda: store.delete(IMAGES, "kept"),
        lambda: store.upload_part("k.zip", upload, 1, 1, b"x"),
        lambda: store.complete_upload("k.zip", upload, [(1, "0" * 32)]),
        lambda: store.abort_upload("k.zip", upload),
        lambda: list(store.list_uploads()),
        lambda: [b"".join(c) for c in store.read_many(IMAGES, [("kept", 1)])],
        lambda: list(stream),
    ):
        with pytest.raises(StorageUnavailable):
            call()
    link = store.sign_download("k.zip", "k.zip", timedelta(minutes=5))
    assert link.startswith(own_server.endpoint)
    own_server.start()
    # Connections of before the restart are known for dead.
    store.put(IMAGES, "after", b"fine")
    assert store.get(IMAGES, "kept") == noise(9 * MIB)
    if isinstance(own_server, parts.MinIO):
        assert [u.upload_id for u in store.list_uploads("k.zip")] == [upload]
        store.upload_part("k.zip", upload, 1, 1, b"x")
    else:
        with pytest.raises(UploadNotFound):
            store.upload_part("k.zip", upload, 1, 1, b"x")
    store.close()


def test_a_store_that_dies_under_a_part_is_unavailable(own_server: parts.ObjectStore) -> None:
    store = ObjectStore(config_of(own_server))
    store.ensure_buckets()
    upload = store.create_upload("k.zip")

    def body() -> Iterator[bytes]:
        for i in range(16):
            if i == 4:
                own_server.kill()
            yield noise(MIB)

    with pytest.raises(StorageUnavailable):
        store.upload_part("k.zip", upload, 1, 16 * MIB, body())
    store.close()


def test_a_closed_store_opens_again(store: ObjectStore) -> None:
    store.put(IMAGES, "closed", b"x")
    store.close()
    store.close()
    assert store.get(IMAGES, "closed") == b"x"


def test_a_first_use_after_a_fork(store: ObjectStore) -> None:
    store.put(IMAGES, "forked", b"content")
    program = (
        "import os, sys\n"
        "from services.storage import ObjectStore, StorageConfig\n"
        "store = ObjectStore(StorageConfig(*sys.argv[1:]))\n"
        "child = os.fork()\n"
        "found = store.get(store.images_bucket, 'forked')\n"
        "failed = os.waitpid(child, 0)[1] if child else 0\n"
        "sys.exit(failed or found != b'content')\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, *astuple(store.config)],
        cwd=Path(__file__).parents[2],
        timeout=30,
        check=True,
    )
