"""What every request must be, whatever it asks for: readable, and made of values that can be
stored."""

from collections.abc import AsyncIterator, Callable
from math import isfinite
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.errors import Invalid
from services.texts import control_error

#: Bytes of UTF-8 of any text; fields with a narrower limit say so in the protos.
MAX_TEXT = 1_024
#: Items of any list; the same.
MAX_ITEMS = 10_000

#: Bytes of a request; those of a stream may have more.
MAX_SIZE = 4 * 1024 * 1024

Request = TypeVar("Request")


class Unread(Generic[Request]):
    """A request as it came, before anybody knows who sent it: parsed, some megabytes can take a
    gigabyte."""

    def __init__(self, data: bytes, parse: Callable[[bytes], Request]) -> None:
        self._data = data
        self._parse = parse

    def read(self, most: int | None = None) -> Request:
        """The request.

        `most`: bytes that it may have.

        Raises:
            Invalid: it has more, or is no message of the method; gRPC itself would answer
                UNKNOWN.
        """
        if most is not None and len(self._data) > most:
            raise Invalid(
                "INVALID_ARGUMENT",
                f"The request has {len(self._data):,} bytes; at most {most:,} are taken.",
            )
        try:
            return self._parse(self._data)
        except DecodeError:
            raise Invalid(
                "INVALID_ARGUMENT",
                "The request is no message of this method, or has a text that is not UTF-8. "
                "Make it from the protos of this service.",
            ) from None


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
