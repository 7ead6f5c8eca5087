"""Values that break things, and messages and bodies made of them; the same for the same seed."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

TEXTS = (
    "", " ", ".", "..", "/", "a/b", "%", "%00", "%2F", "\0", "\n", "\x7f", "\x85", "\ufeff",
    "\ufffe", "\U0001f3ff", "e\u0301", "\u202e", "漢字", "null", "true", "0", "-1", "1e400",
    "' OR 1=1 --", "{}", "$(x)", "<a>", "all", "coco", "csv", "yolo", "complete", "train",
    "x" * 100, "x" * 101, "x" * 121, "ä" * 1_025, "x" * 70_000,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 99, 100, 1_000, 1_001, 10_001, 2**31 - 1, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63),
)  # fmt: skip
FLOATS = (0.0, -0.0, 0.5, 1.0, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
#: How deep messages and bodies nest.
_DEPTH = 4


@dataclass(frozen=True)
class Source:
    """Where values come from."""

    random: Random
    #: Names and ids of things that are there.
    known: tuple[str, ...]

    def text(self) -> str:
        """A text."""
        kind = self.random.random()
        if kind < 0.4:
            return self.random.choice(self.known)
        if kind < 0.8:
            return self.random.choice(TEXTS)
        length = self.random.choice((1, 3, 20))
        points = (self.random.randrange(0x20, 0xD7FF) for _ in range(length))
        return "".join(map(chr, points))

    def data(self) -> bytes:
        """Bytes."""
        if self.random.random() < 0.5:
            return json.dumps(self.value()).encode()
        return self.random.randbytes(self.random.choice((0, 1, 7, 300, 30_000)))

    def value(self, depth: int = 0) -> Any:
        """A value of JSON, or nearly so."""
        kind = self.random.randrange(8 if depth < _DEPTH else 5)
        if kind < 2:
            return self.text()
        if kind == 2:
            return self.random.choice(NUMBERS)
        if kind == 3:
            return self.random.choice(FLOATS)
        if kind == 4:
            return self.random.choice((None, True, False))
        some = range(self.random.choice((0, 1, 2, 5)))
        if kind < 7:
            return [self.value(depth + 1) for _ in some]
        return {self.text()[:200]: self.value(depth + 1) for _ in some}

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message with some of its fields."""
        made: Message = GetMessageClass(kind)()
        for field in kind.fields:
            if self.random.random() < 0.35 or depth > _DEPTH:
                continue
            if field.is_repeated:
                count = self.random.choice((0, 1, 1, 2, 3, 101))
                values = [self._field(field, depth) for _ in range(count)]
                getattr(made, field.name).extend(values)
            elif field.message_type is not None:
                getattr(made, field.name).CopyFrom(self._field(field, depth))
            else:
                setattr(made, field.name, self._field(field, depth))
        return made

    def _field(self, field: FieldDescriptor, depth: int) -> Any:
        if field.message_type is not None:
            return self.message(field.message_type, depth + 1)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return self.data()
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                return self.text()
            case FieldDescriptor.CPPTYPE_BOOL:
                return self.random.random() < 0.5
            case FieldDescriptor.CPPTYPE_DOUBLE:
                return self.random.choice(FLOATS)
            case FieldDescriptor.CPPTYPE_INT32 | FieldDescriptor.CPPTYPE_ENUM:
                return self.random.choice([n for n in NUMBERS if -(2**31) <= n < 2**31])
            case _:
                return self.random.choice(NUMBERS)

    def spoilt(self, data: bytes) -> bytes:
        """The bytes with something wrong: flipped, cut, doubled, filled in."""
        if not data:
            return self.random.randbytes(3)
        changed = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 8))):
            at = self.random.randrange(len(changed) + 1)
            match self.random.randrange(4):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << self.random.randrange(8)
                case 1:
                    del changed[at : at + self.random.choice((1, 4, 1_000))]
                case 2:
                    changed[at:at] = changed[: self.random.choice((1, 10, 200))]
                case _:
                    changed[at:at] = self.random.randbytes(self.random.choice((1, 2, 9)))
        return bytes(changed)
