"""What is learned of stores from their answers: which sums they take, and what their ETags are."""

import hashlib
from email.message import Message

import pytest

from services.storage import StorageUnavailable
from services.storage.errors import DamagedOnItsWay
from services.storage.sums import Arrival, Confirmations, ETags, Transfer, crc32

DATA = b"some bytes"
MD5 = hashlib.md5(DATA).hexdigest()
OTHER = "0" * 32
SUM = "x-amz-checksum-crc32"


def sent(kind: Confirmations, data: bytes = DATA) -> Transfer:
    """A body that was sent as a whole."""
    transfer = kind.watch(iter([data[:3], data[3:]]), crc32(data))
    assert b"".join(transfer.body) == data  # type: ignore[arg-type]
    return transfer


def answer(etag: str, crc: str | None = None) -> Message:
    found = Message()
    found["ETag"] = f'"{etag}"'
    if crc is not None:
        found[SUM] = crc
    return found


def test_a_store_that_takes_sums_costs_one_md5() -> None:
    kind = Confirmations(ETags())
    first = sent(kind)
    assert first.digest is not None
    kind.check(first, answer(MD5, first.headers[SUM]), "place")
    again = sent(kind)
    assert again.digest is None
    kind.check(again, answer(MD5, again.headers[SUM]), "place")
    with pytest.raises(DamagedOnItsWay):
        kind.check(again, answer(MD5, "AAAAAA=="), "place")
    # Behind the same address another server may answer.
    with pytest.raises(StorageUnavailable, match="did not confirm"):
        kind.check(again, answer(MD5), "place")
    assert sent(kind).digest is not None


def test_a_store_that_takes_sums_of_objects_alone() -> None:
    """AWS takes none of a part whose upload was begun without the algorithm."""
    etags = ETags()
    objects, parts = Confirmations(etags), Confirmations(etags)
    first = sent(objects)
    objects.check(first, answer(MD5, first.headers[SUM]), "place")
    part = sent(parts)
    with pytest.raises(StorageUnavailable, match="InvalidRequest"):
        parts.refused(part, "InvalidRequest")
    part = sent(parts)
    assert part.headers == {}
    # Without a sum it is refused for another reason.
    parts.refused(part, "InvalidRequest")
    parts.check(part, answer(MD5), "place")
    with pytest.raises(DamagedOnItsWay):
        parts.check(part, answer(OTHER), "place")
    # Objects still go with theirs.
    assert sent(objects).headers == first.headers
    objects.refused(first, "InvalidRequest")


def test_a_sum_that_is_not_known_before() -> None:
    kind = Confirmations(ETags())
    first = sent(kind)
    kind.check(first, answer(MD5, first.headers[SUM]), "place")
    for etag in (MD5, OTHER):
        transfer = kind.watch(iter([DATA]), None)
        assert (b"".join(transfer.body), transfer.headers) == (DATA, {})  # type: ignore[arg-type]
        if etag == MD5:
            kind.check(transfer, answer(etag), "place")
        else:
            with pytest.raises(DamagedOnItsWay):
                kind.check(transfer, answer(etag), "place")
    assert sent(kind).digest is None


def test_etags_that_are_no_md5(caplog: pytest.LogCaptureFixture) -> None:
    """As with AWS where a key of KMS encrypts."""
    etags = ETags()
    objects, parts = Confirmations(etags), Confirmations(etags)
    first = sent(objects)
    objects.check(first, answer(OTHER, first.headers[SUM]), "place")
    for _ in range(3):
        part = sent(parts)
        assert part.digest is None
        parts.check(part, answer(OTHER), "place")
    assert caplog.text.count("confirms neither") == 1


def test_a_store_that_says_nothing_of_use_is_believed_in_the_end() -> None:
    kind = Confirmations(ETags())
    for _ in range(2):
        with pytest.raises(DamagedOnItsWay):
            kind.check(sent(kind), answer(OTHER), "place")
    kind.check(sent(kind), answer(OTHER), "place")
    assert sent(kind).digest is None
    # One whose ETags look otherwise, at once.
    kind = Confirmations(ETags())
    kind.check(sent(kind), answer("a-7"), "place")


def test_what_comes_is_held_against_what_the_store_says() -> None:
    known = ETags()
    known.learn(is_md5=True)
    right = sent(Confirmations(known)).headers[SUM]
    for etags, said, is_noticed in (
        (ETags(), answer(OTHER, right), False),
        (ETags(), answer(MD5, "AAAAAA=="), True),
        (known, answer(MD5), False),
        (known, answer(OTHER), True),
        # Of parts: neither is of the bytes themselves.
        (known, answer(f"{OTHER}-2", "AAAAAA==-2"), False),
        (ETags(), answer(OTHER), False),
    ):
        arrival = Arrival(said, etags, "place")
        arrival.take(DATA[:3])
        arrival.take(DATA[3:])
        if is_noticed:
            with pytest.raises(DamagedOnItsWay):
                arrival.end()
        else:
            arrival.end()
