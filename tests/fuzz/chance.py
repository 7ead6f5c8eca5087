"""Bytes that were changed at random, and the same again from the same seed."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

#: What a number, a name or a structure is changed into.
_PIECES: Sequence[bytes] = (
    *(b"", b"\0", b"-", b"-1", b"0", b"1e999", b"nan", b"9" * 60, b"0.0000001", b"99999"),
    *(b"[", b"]", b"{", b"}", b"<", b">", b"</annotation>", b"]]>", b"&", b"&a;", b"*a", b"&a "),
    *(b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"null"),
    *(b"true", b'""', b"../", b"\\", b"/", b" ", b"\t", b"\n", b"\r", b",", b":", b"%00", b"#"),
)


#: What a value of a document is changed into.
_ODD: Sequence[Any] = (
    *(None, True, False, "", " ", "x", "1", "-1", "1.5", "nan", "a\0b", "\ud800", "x" * 300),
    *(0, -1, 1, 0.5, 1e300, -1e-300, 10**30, float("nan"), float("-inf"), [], {}, [1], [[]]),
    *(
        [1, 2, 3, 4],
        [[1, 2, 3, 4, 5, 6]],
        [None] * 4,
        {"a": 1},
        {"size": [48, 64], "counts": [3072]},
    ),
    *([0, 0, 1e9, 1e9], [[0, 0, 1e6, 0, 1e6, 1e6]], {"size": [2**20, 2**20], "counts": "0" * 50}),
)


def chance(seed: int, number: int) -> random.Random:
    """The chance of one case of a run."""
    return random.Random(f"{seed}:{number}")


def changed(data: bytes, dice: random.Random) -> bytes:
    """The bytes with one to four changes: a bit, a byte, a piece, a part that is away, doubled
    or moved, another end, or another encoding."""
    for _ in range(dice.randint(1, 4)):
        data = dice.choice(_CHANGES)(data, dice)
    return data


def changed_document(data: bytes, dice: random.Random) -> bytes:
    """JSON with one to three values that are others, away, or there twice."""
    value = json.loads(data)
    for _ in range(dice.randint(1, 3)):
        value = _changed_value(value, dice)
    return json.dumps(value).encode()


def _changed_value(value: Any, dice: random.Random) -> Any:
    if not isinstance(value, list | dict) or not value or dice.random() < 0.1:
        return dice.choice(_ODD)
    keys: Sequence[Any] = range(len(value)) if isinstance(value, list) else [*value]
    key = dice.choice(keys)
    copy: Any = value.copy()
    match dice.randrange(10):
        case 0:
            del copy[key]
        case 1 if isinstance(copy, list):
            copy.insert(dice.randint(0, len(copy)), copy[key])
        case _:
            copy[key] = _changed_value(copy[key], dice)
    return copy


def _place(data: bytes, dice: random.Random) -> int:
    # Heads more often than the rest: they say what is to come.
    return min(dice.randint(0, len(data)), dice.randint(0, len(data)))


def _bit(data: bytes, dice: random.Random) -> bytes:
    if not data:
        return data
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


def _byte(data: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    return data[:place] + bytes([dice.choice((0, 1, 0x7F, 0x80, 0xFF))]) + data[place + 1 :]


def _word(data: bytes, dice: random.Random) -> bytes:
    """A number of two or four bytes becomes the greatest, the least or any."""
    place, size = _place(data, dice), dice.choice((2, 4, 8))
    value = dice.choice((bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1)))
    return data[:place] + dice.choice((value, dice.randbytes(size))) + data[place + size :]


def _piece(data: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    return data[:place] + dice.choice(_PIECES) + data[place + dice.randint(0, 12) :]


def _number(data: bytes, dice: random.Random) -> bytes:
    """Digits, where there are any, become other ones."""
    start = _place(data, dice)
    for place in range(start, min(start + 200, len(data))):
        if data[place : place + 1].isdigit():
            return data[:place] + dice.choice(_PIECES) + data[place + 1 :]
    return data


def _away(data: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    return data[:place] + data[place + dice.randint(1, 200) :]


def _doubled(data: bytes, dice: random.Random) -> bytes:
    place = _place(data, dice)
    part = data[place : place + dice.randint(1, 300)]
    return data[:place] + part * dice.choice((2, 2, 3, 50)) + data[place + len(part) :]


def _moved(data: bytes, dice: random.Random) -> bytes:
    place, other = sorted((_place(data, dice), dice.randint(0, len(data))))
    part = data[place : place + dice.randint(1, 100)]
    return data[:place] + data[place + len(part) : other] + part + data[other:]


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randint(0, len(data))]


def _encoded(data: bytes, dice: random.Random) -> bytes:
    encoding = dice.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"))
    return data.decode(errors="replace").encode(encoding, errors="replace")


_CHANGES: Sequence[Callable[[bytes, random.Random], bytes]] = (
    *(_bit, _byte, _word, _piece, _piece, _number, _number),
    *(_away, _doubled, _moved, _cut, _encoded),
)
