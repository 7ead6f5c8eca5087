"""What every request must be, whatever it asks for: readable, and made of values that can be
stored."""

from collections.abc import AsyncIterator, Callable
from math import isfinite
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.errors import Invalid

#: Bytes of UTF-8 of any text; fields with a narrower limit say so in the protos.
MAX_TEXT = 1_024
#: Items of any list; the same.
MAX_ITEMS = 10_000

Request = TypeVar("Request")


class Unreadable:
    """Stands for bytes that are no message of the method: gRPC itself would answer UNKNOWN."""


def reader(deserialize: Callable[[bytes], Request]) -> Callable[[bytes], Request | Unreadable]:
    """`deserialize`, which never fails; `readable` tells of it."""

    def read(data: bytes) -> Request | Unreadable:
        try:
            return deserialize(data)
        except DecodeError:
            return Unreadable()

    return read


def readable(request: Request | Unreadable) -> Request:
    """The request, if it is one.

    Raises:
        Invalid: it could not be read.
    """
    if isinstance(request, Unreadable):
        raise Invalid(
            "INVALID_ARGUMENT",
            "The request is no message of this method, or has a text that is not UTF-8. "
            "Make it from the protos of this service.",
        )
    return request


async def all_readable(requests: AsyncIterator[Request | Unreadable]) -> AsyncIterator[Request]:
    """The requests of a stream.

    Raises:
        Invalid: one could not be read.
    """
    async for request in requests:
        yield readable(request)


def check_request(message: Message) -> None:
    """Checks every value of a message that has texts, numbers or lists.

    Raises:
        Invalid: a text has NUL, which PostgreSQL does not store, or is too long; a number is
            not finite; a list has too many items.
    """
    _check(message, "")


def _check(message: Message, at: str) -> None:
    for field, value in message.ListFields():
        name = f"{at}{field.name}"
        check = _CHECKS.get(field.type)
        if not field.is_repeated:
            if check is not None:
                check(value, name)
            continue
        if len(value) > MAX_ITEMS:
            raise Invalid.of(name, f"has {len(value)} items; at most {MAX_ITEMS} are allowed")
        if check is not None:
            for index, item in enumerate(value):
                check(item, f"{name}[{index}]")


def _check_message(message: Message, name: str) -> None:
    _check(message, f"{name}.")


def _check_text(text: str, name: str) -> None:
    if "\0" in text:
        raise Invalid.of(name, "has the character NUL, which cannot be stored; leave it out")
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
