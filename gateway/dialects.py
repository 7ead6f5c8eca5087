"""How clients differ: the one place that knows.

The Exports API was published with bare answers; every generation of the official SDK
wraps them in its own way. A dialect says how to wrap, and is chosen once per request:
by the form of the path where only newer SDKs use it, else by the User-Agent's product
and version, else it is the page's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gateway.addresses import Form

Version = tuple[int, ...]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of client reads answers. A key names where an object is put; TOP is the
    answer itself."""

    #: Where one export is put.
    one: tuple[str, ...]
    #: The key of a list; TOP: the answer is the array.
    many: str
    #: Where everything else is put: download, delete and bulk-delete answers.
    other: tuple[str, ...]
    #: `error` as a slug beside `message`, or as an object that holds both.
    error: Literal["slug", "object"]
    #: The formats the client can read, where one unknown word spoils its whole list;
    #: empty: any.
    formats: tuple[str, ...] = ()
    #: Whether the client sends a create again after a lost answer, without any key.
    repeats_create: bool = False


TOP = ""

_1_0 = ("pictograph", "coco", "yolo", "pascal_voc", "cvat", "labelme", "csv")
_1_5 = (*_1_0, "darwin")
_1_45 = (*_1_5, "datumaro")
_1_63 = (*_1_45, "yolo_obb", "yolo_pose", "dota")

#: Every format there is, those that no SDK names among them; a test holds them against the
#: server's.
FORMATS = (*_1_63, "roboflow_coco")

# fmt: off
#: Everyone but the SDK, as the page shows: curl, requests, fetch, Go.
#                           one export   list       other answers  error
PAGE =              Dialect((TOP,),      TOP,       (TOP,),        "slug")

#: The SDK, by the first version that reads so.
SDK: tuple[tuple[Version, Dialect], ...] = (
    #                       one export   list       other answers  error     formats
    ((0,),          Dialect(("export",), "exports", (TOP,),        "slug", repeats_create=True)),
    ((1, 0, 0),     Dialect(("export",), "exports", (TOP,),        "slug",   _1_0)),
    ((1, 5, 0),     Dialect(("export",), "exports", (TOP,),        "slug",   _1_5)),
    ((1, 45, 0),    Dialect(("export",), "exports", (TOP,),        "slug",   _1_45)),
    ((1, 61, 0),    Dialect(("data",),   "data",    (TOP, "data"), "slug",   _1_45)),
    ((1, 61, 5),    Dialect(("data",),   "data",    (TOP, "data"), "object", _1_45)),
    ((1, 63, 0),    Dialect(("data",),   "data",    (TOP, "data"), "object", _1_63)),
    # Newer than the newest that is known: it may read formats that this table does not name.
    ((1, 69, 147),  Dialect(("data",),   "data",    (TOP, "data"), "object")),
)
# fmt: on

#: The newest version that is known.
NEWEST: Version = (1, 69, 146)

#: Path forms that only the SDK uses, by the version that began to.
_FORM_SINCE = {Form.BY_NAME: (1, 61, 0), Form.QUERY: (1, 69, 44)}

_AGENT = re.compile(r"pictograph-python(?:-async)?/(?:(\d{1,6})\.(\d{1,6})\.(\d{1,6}))?")


def sdk_version(user_agent: str) -> Version | None:
    """The version of the official SDK that a User-Agent names; None: another client.

    Every 0.1.x calls itself 0.1.0. A version that cannot be read counts as the newest.
    """
    if user_agent.startswith("pictograph-python-sdk/"):
        return (0, 1, 0)
    found = _AGENT.match(user_agent)
    if found is None:
        return None
    return tuple(map(int, found.groups())) if found[1] else NEWEST


def prefers_by_name(version: Version | None) -> bool:
    """Whether `by-name/{a}/download` of this client means the export `download` of dataset
    `a`, and not a download from a dataset called `by-name`."""
    return version is not None and (1, 61, 0) <= version < (1, 69, 44)


def choose(version: Version | None, form: Form) -> Dialect:
    """The dialect of a request: from the form of its path and the version of its SDK."""
    if form in _FORM_SINCE:
        version = max(version or NEWEST, _FORM_SINCE[form])
    if version is None:
        return PAGE
    return [dialect for since, dialect in SDK if since <= version][-1]


def one_export(dialect: Dialect, export: Body) -> Body:
    """The answer that carries one export."""
    return _put(dialect.one, export)


def many_exports(
    dialect: Dialect, exports: Sequence[Body], *, total: int, limit: int, offset: int
) -> Body | list[Body]:
    """The answer that carries a page of exports; `total` counts all pages."""
    if dialect.many == TOP:
        return list(exports)
    return {
        dialect.many: list(exports),
        "count": len(exports),
        "pagination": _pagination(len(exports), total=total, limit=limit, offset=offset),
    }


def one_dataset(dialect: Dialect, dataset: Body) -> Body:
    """The answer that carries one dataset."""
    return _put(tuple(_DATASET_PLACES.get(place, place) for place in dialect.one), dataset)


def many_datasets(
    dialect: Dialect, datasets: Sequence[Body], *, total: int, limit: int, offset: int
) -> Body:
    """The answer that carries a page of datasets; `total` counts all pages.

    No page documents it. SDKs read `datasets` before 1.61.0 and `data` from then on, whose
    pager goes by `pagination.has_more`.
    """
    if dialect.many != "data":
        return {"datasets": list(datasets), "total": total}
    pagination = _pagination(len(datasets), total=total, limit=limit, offset=offset)
    return {"data": list(datasets), "pagination": pagination}


def other_answer(dialect: Dialect, answer: Body) -> Body:
    """The answer that carries anything else."""
    return _put(dialect.other, answer)


def error_answer(dialect: Dialect, slug: str, message: str, details: Mapping[str, Any]) -> Body:
    """The answer that carries an error. Every generation reads a string `detail`."""
    if dialect.error == "object":
        error: Body = {"code": slug, "message": message}
        if details:
            error["details"] = dict(details)
        return {"error": error, "detail": message}
    answer: Body = {"error": slug, "message": message, "detail": message}
    if details:
        answer["details"] = dict(details)
    return answer


#: Where a dataset is put, by where an export is.
_DATASET_PLACES = {"export": "dataset"}


def _pagination(count: int, *, total: int, limit: int, offset: int) -> Body:
    return {"total": total, "limit": limit, "offset": offset, "has_more": offset + count < total}


def _put(places: tuple[str, ...], value: Body) -> Body:
    answer: Body = {}
    for place in places:
        answer |= value if place == TOP else {place: value}
    return answer
