"""What every request must be, whatever it asks for: readable, and made of values that can be
stored."""

import threading
from collections.abc import AsyncIterator, Callable, Sequence, Sized
from functools import cache
from math import isfinite
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.errors import Invalid
from services.texts import control_error

#: Bytes of UTF-8 of any text; fields with a narrower limit say so in the protos.
MAX_TEXT = 1_024
#: Items of any list; the same.
MAX_ITEMS = 10_000

#: Bytes of a request; those of a stream may have more.
MAX_SIZE = 4 * 1024 * 1024
#: Bytes of a request that is parsed beside others.
_SMALL = 128 * 1024
#: Bytes of a request that is parsed where everything else waits for it.
LIGHT_SIZE = 16 * 1024
#: Held while any other is parsed and checked: each may take sixty times its bytes until it is
#: refused for its number of items.
_LARGE = threading.Lock()

#: A wire type of protobuf (https://protobuf.dev/programming-guides/encoding/#structure).
_LENGTH_DELIMITED = 2

Request = TypeVar("Request", bound=Message)


class Unread(Generic[Request]):
    """A request as it came, before anybody knows who sent it: parsed, some megabytes can take a
    gigabyte."""

    def __init__(self, data: bytes, parse: Callable[[bytes], Request]) -> None:
        self._data = data
        self._size = len(data)
        self._parse = parse

    @property
    def is_large(self) -> bool:
        """Whether it may leave much behind that is free."""
        return self._size > _SMALL

    def read(self, most: int | None = None) -> Request:
        """The request.

        `most`: bytes that it may have.

        Raises:
            Invalid: it has more, or is no message of the method (gRPC itself would answer
                UNKNOWN); or it is large, and a list in it has too many items.
        """
        if most is not None and len(self._data) > most:
            raise Invalid(
                "INVALID_ARGUMENT",
                f"The request has {len(self._data):,} bytes; at most {most:,} are taken.",
            )
        if len(self._data) <= _SMALL or _is_flat(self._data, self._parse):
            return self._parsed()
        with _LARGE:
            message = self._parsed()
            fault = _too_many(message, "")
            if fault is None:
                return message
            # A traceback would keep both until the next collection of garbage; so would an error
            # that a variable of its own frame refers to.
            del message
            self._data = b""
            try:
                raise fault
            finally:
                del fault

    def _parsed(self) -> Request:
        try:
            return self._parse(self._data)
        except DecodeError:
            raise Invalid(
                "INVALID_ARGUMENT",
                "The request is no message of this method, or has a text that is not UTF-8. "
                "Make it from the protos of this service.",
            ) from None


def _is_flat(data: bytes, parse: Callable[[bytes], Message]) -> bool:
    """Whether a message is one field and nothing else, which is bytes or a message without lists
    and messages in it: such a one takes no more than its bytes."""
    tag, size, start = data[0], 0, 1
    for shift in range(0, 35, 7):
        if start == len(data):
            return False
        size |= (data[start] & 0x7F) << shift
        start += 1
        if not data[start - 1] & 0x80:
            break
    descriptor: Descriptor = parse.__self__.DESCRIPTOR  # type: ignore[attr-defined]
    field = descriptor.fields_by_number.get(tag >> 3)
    if field is None or tag & 7 != _LENGTH_DELIMITED or start + size != len(data):
        return False
    inner = field.message_type.fields if field.message_type is not None else ()
    return not field.is_repeated and not any(f.is_repeated or f.message_type for f in inner)


def reader(parse: Callable[[bytes], Request]) -> Callable[[bytes], Unread[Request]]:
    """A deserializer that leaves the work for later."""
    return lambda data: Unread(data, parse)


async def all_read(requests: AsyncIterator[Unread[Request]]) -> AsyncIterator[Request]:
    """The requests of a stream; the first, which opens it, is no larger than a single one.

    Raises:
        Invalid: one could not be read, or the first is too large.
    """
    most: int | None = MAX_SIZE
    async for request in requests:
        yield request.read(most)
        most = None


def check_request(message: Message) -> None:
    """Checks every value of a message that has texts, numbers or lists.

    Raises:
        Invalid: a text has control characters or is too long; a number is not finite; a list
            has too many items.
    """
    _check(message, "")


def _too_many(message: Message, at: str) -> Invalid | None:
    """What is to be said of a list that has too many items, without frames that keep it."""
    for field, value in message.ListFields():
        if field.type != FieldDescriptor.TYPE_MESSAGE:
            items: Sequence[Message] = ()
        else:
            items = value if field.is_repeated else [value]
        if field.is_repeated and len(value) > MAX_ITEMS:
            return _excess(value, f"{at}{field.name}")
        for item in items:
            if fault := _too_many(item, f"{at}{field.name}."):
                return fault
    return None


def _excess(items: Sized, name: str) -> Invalid:
    return Invalid.of(name, f"has {len(items)} items; at most {MAX_ITEMS} are allowed")


def _check(message: Message, at: str) -> None:
    for field, value in message.ListFields():
        name, is_repeated, check = _about(field)
        name = at + name
        if not is_repeated:
            if check is not None:
                check(value, name)
            continue
        _check_length(value, name)
        if check is not None:
            for index, item in enumerate(value):
                check(item, f"{name}[{index}]")


@cache
def _about(field: FieldDescriptor) -> tuple[str, bool, Callable[[Any, str], None] | None]:
    """Name of a field, whether it is a list, and the check of its values: asking the descriptor
    takes longer than the check."""
    return field.name, field.is_repeated, _CHECKS.get(field.type)


def _check_length(items: Sized, name: str) -> None:
    # Not by a variable: its frame and the error would keep each other, and the items.
    if len(items) > MAX_ITEMS:
        raise _excess(items, name)


def _check_message(message: Message, name: str) -> None:
    _check(message, f"{name}.")


def _check_text(text: str, name: str) -> None:
    if problem := control_error(text):
        raise Invalid.of(name, problem)
    # A character takes at most four bytes.
    if len(text) > MAX_TEXT // 4 and (size := len(text.encode())) > MAX_TEXT:
        raise Invalid.of(name, f"has {size} bytes of UTF-8; at most {MAX_TEXT} are allowed")


def _check_number(number: float, name: str) -> None:
    if not isfinite(number):
        raise Invalid.of(name, f"is {number}; give a finite number")


_CHECKS: dict[int, Callable[[Any, str], None]] = {
    FieldDescriptor.TYPE_MESSAGE: _check_message,
    FieldDescriptor.TYPE_STRING: _check_text,
    FieldDescriptor.TYPE_DOUBLE: _check_number,
    FieldDescriptor.TYPE_FLOAT: _check_number,
}
