"""What a request addresses, read from its raw path.

A `%2F` inside a segment is part of a name, so the path is split before it is decoded.
Six forms are in use, below `/api/v1/developer/exports`:

    /{dataset_name}/{export_name}            the page, SDK 0.1.7 to 1.60.0
    /{export_id}                             SDK 0.1.6, and get_by_id of later ones
    /by-name/{dataset_name}/{export_name}    SDK 1.61.0 to 1.69.43
    /{export_name}?dataset={dataset_name}    SDK 1.69.44 and later
    /bulk-delete                             POST only
    /preview                                 POST only

and each of the first four again with `/download`, and for POST with `/retry` and `/cancel`.
Where a path can be read in more than one way, every reading is kept, the likeliest first.
Unquoted slashes in a name (old SDKs and Python's `quote` leave them) are taken as part of
the name.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl, unquote_to_bytes

EXPORTS = "/api/v1/developer/exports"
DATASETS = "/api/v1/developer/datasets"
FORMATS = "/api/v1/developer/formats"
WEBHOOKS = "/api/v1/developer/webhooks"

#: What a POST below an export does to it.
ACTIONS = frozenset({"retry", "cancel"})

_PREFIX = EXPORTS.encode()
_MAX_NAME = 100
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Form(Enum):
    """The form of a path."""

    #: Not a path of the Exports API.
    OUTSIDE = auto()
    #: Something that is only read: datasets, formats.
    READ_ONLY = auto()
    WEBHOOKS = auto()
    #: A path with dot segments: normalised, it may be anything, even the collection.
    DOTS = auto()
    COLLECTION = auto()
    BULK_DELETE = auto()
    PREVIEW = auto()
    PAGE = auto()
    ID = auto()
    BY_NAME = auto()
    QUERY = auto()


@dataclass(frozen=True, slots=True)
class ById:
    """An export by its id, in lower case."""

    id: str


@dataclass(frozen=True, slots=True)
class ByName:
    """An export by the names of its dataset and of itself, decoded."""

    dataset_name: str
    name: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a path."""

    address: ById | ByName
    #: The path means the export's archive, not the export.
    download: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a path addresses: its form and its readings, the likeliest first.

    No reading: the path is of this form, and nothing can ever be there.
    """

    form: Form
    readings: tuple[Reading, ...] = ()
    #: The likeliest reading, possible or not, is a download.
    download: bool = False
    #: What a POST to the path does (one of ACTIONS, or nothing), and the readings of the rest.
    action: str = ""
    acted: tuple[Reading, ...] = ()
    #: Of a webhook's path: the methods it answers.
    hooked: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods the path is documented to answer."""
        match self.form:
            case Form.OUTSIDE:
                return ()
            case Form.WEBHOOKS:
                return (*self.hooked, "OPTIONS")
            case Form.DOTS | Form.READ_ONLY:
                return ("GET", "HEAD", "OPTIONS")
            case Form.COLLECTION:
                return ("GET", "HEAD", "POST", "OPTIONS")
            case Form.BULK_DELETE | Form.PREVIEW:
                return ("POST", "OPTIONS")
        if self.action:
            return ("POST", "OPTIONS")
        if self.download:
            return ("GET", "HEAD", "OPTIONS")
        return ("GET", "HEAD", "DELETE", "OPTIONS")

    def answers(self, method: str) -> bool:
        """Whether the path may answer a method: an export may be called like an action, and is
        then read and deleted as any other."""
        return bool(self.action) or method in self.methods


def read(raw_path: bytes, query: bytes, *, prefers_by_name: bool = False) -> Target:
    """Reads a raw path and a raw query string.

    `prefers_by_name`: `by-name/{a}/download` is read as a dataset and an export called
    `download` first; else as the download of export `a` of a dataset called `by-name`.
    """
    if raw_path != _PREFIX and not raw_path.startswith(_PREFIX + b"/"):
        if any(raw_path.startswith(place.encode()) for place in (DATASETS, FORMATS)):
            return Target(Form.READ_ONLY)
        if raw_path.startswith(WEBHOOKS.encode()):
            return _webhook(raw_path)
        return Target(Form.OUTSIDE)
    segments = [_decode(segment) for segment in raw_path[len(_PREFIX) + 1 :].split(b"/")]
    if len(segments) > 1 and segments[-1] == "":
        segments.pop()
    if segments == [""]:
        return Target(Form.COLLECTION)
    if "." in segments or ".." in segments:
        return Target(Form.DOTS)
    if None in segments:
        return Target(Form.PAGE)
    parts = [segment for segment in segments if segment is not None]
    dataset = _dataset(query)
    form, readings = _readings(parts, dataset, prefers_by_name)
    action, acted = "", []
    if len(parts) > 1 and parts[-1] in ACTIONS:
        _, found = _readings(parts[:-1], dataset, prefers_by_name)
        acted = [reading for reading in found if not reading.download]
        action = parts[-1] if acted else ""
    return Target(
        form,
        tuple(reading for reading in readings if _possible(reading.address)),
        download=bool(readings) and readings[0].download,
        action=action,
        acted=tuple(reading for reading in acted if _possible(reading.address)),
    )


def dataset_name(path: str) -> str | None:
    """The name at the end of a dataset's path, as the router has it: raw, in Latin-1. None: there
    can be no dataset of that name."""
    name = _decode(path.rstrip("/").encode("latin-1"))
    if name is None or name in (".", "..") or not _possible(ByName(name, name)):
        return None
    return name


def _webhook(raw_path: bytes) -> Target:
    """What a path below `WEBHOOKS` addresses, by its segments; outside: nothing is there."""
    match raw_path.removeprefix(WEBHOOKS.encode()).strip(b"/").split(b"/"):
        case [b""]:
            return Target(Form.WEBHOOKS, hooked=("GET", "HEAD", "POST"))
        case [_]:
            return Target(Form.WEBHOOKS, hooked=("PATCH", "DELETE"))
        case [b"deliveries", _, b"redeliver"] | [_, b"rotate" | b"test"]:
            return Target(Form.WEBHOOKS, hooked=("POST",))
        case [_, b"deliveries"]:
            return Target(Form.WEBHOOKS, hooked=("GET", "HEAD"))
    return Target(Form.OUTSIDE)


def _readings(
    parts: list[str], dataset: str | None, prefers_by_name: bool
) -> tuple[Form, list[Reading]]:
    first, *rest = parts
    if not rest:
        if dataset is not None:
            return Form.QUERY, [Reading(ByName(dataset, first))]
        if first == "bulk-delete":
            return Form.BULK_DELETE, []
        if first == "preview":
            return Form.PREVIEW, []
        return Form.ID, [Reading(ById(first.lower()))]
    if rest == ["download"]:
        if dataset is not None:
            return Form.QUERY, [Reading(ByName(dataset, first), download=True)]
        named = Reading(ByName(first, "download"))
        if _UUID.fullmatch(first):
            return Form.ID, [Reading(ById(first.lower()), download=True), named]
        return Form.PAGE, [named]
    if first == "by-name" and len(rest) > 1:
        by_name = _named(rest[0], rest[1:])
        if rest[1:] != ["download"]:
            return Form.BY_NAME, by_name
        page = [Reading(ByName(first, rest[0]), download=True)]
        if prefers_by_name:
            return Form.BY_NAME, by_name + page
        return Form.PAGE, page + by_name
    return Form.PAGE, _named(first, rest)


def _named(dataset: str, name: list[str]) -> list[Reading]:
    """The readings of the segments behind a dataset's name."""
    export = Reading(ByName(dataset, "/".join(name)))
    if len(name) > 1 and name[-1] == "download":
        return [Reading(ByName(dataset, "/".join(name[:-1])), download=True), export]
    return [export]


def _possible(address: ById | ByName) -> bool:
    """Whether anything can be there: ids are UUIDs, and the server takes no blank name, none
    with control characters and none of more than 100 characters."""
    if isinstance(address, ById):
        return _UUID.fullmatch(address.id) is not None
    return all(
        text.strip()
        and len(text) <= _MAX_NAME
        and not any(unicodedata.category(character) == "Cc" for character in text)
        for text in (address.dataset_name, address.name)
    )


def _decode(segment: bytes) -> str | None:
    """Undoes percent-encoding, leaving malformed escapes as they are; None: not UTF-8."""
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None


def _dataset(query: bytes) -> str | None:
    """The `dataset` of a query string. Bytes that are not UTF-8 become U+FFFD."""
    values = dict(parse_qsl(query.decode(errors="replace"), keep_blank_values=True))
    return values.get("dataset")
