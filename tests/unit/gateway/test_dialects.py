"""Each generation of clients gets the answers that it reads."""

import pytest

from gateway import dialects
from gateway.addresses import Form
from gateway.dialects import PAGE, Dialect

EXPORT = {"id": "1", "name": "x"}
ROWS = [{"id": "1"}, {"id": "2"}]
FIRST_FORMATS = {"pictograph", "coco", "yolo", "pascal_voc", "cvat", "labelme", "csv"}
ALL_FORMATS = {*FIRST_FORMATS, "darwin", "datumaro", "yolo_obb", "yolo_pose", "dota"}


def dialect_of(user_agent: str, form: Form = Form.PAGE) -> Dialect:
    return dialects.choose(dialects.sdk_version(user_agent), form)


#: User-Agent, where one export is, where a list is, where an error's word is.
CLIENTS = [
    ("", None, None, "slug"),
    ("curl/7.88.1", None, None, "slug"),
    ("python-requests/2.34.2", None, None, "slug"),
    ("node", None, None, "slug"),
    ("Go-http-client/1.1", None, None, "slug"),
    ("Pictograph-Python/1.69.146", None, None, "slug"),
    ("my-pictograph-python/1.69.146", None, None, "slug"),
    ("pictograph-python-sdk/0.1.0", "export", "exports", "slug"),
    ("pictograph-python/1.0.0", "export", "exports", "slug"),
    ("pictograph-python/1.7.26", "export", "exports", "slug"),
    ("pictograph-python/1.7.27", "export", "exports", "slug"),
    ("pictograph-python/1.29.0", "export", "exports", "slug"),
    ("pictograph-python-async/1.29.0", "export", "exports", "slug"),
    ("pictograph-python/1.60.0", "export", "exports", "slug"),
    ("pictograph-python/1.61.0", "data", "data", "slug"),
    ("pictograph-python/1.61.1", "data", "data", "slug"),
    ("pictograph-python/1.61.5", "data", "data", "object"),
    ("pictograph-python/1.69.43", "data", "data", "object"),
    ("pictograph-python/1.69.44", "data", "data", "object"),
    ("pictograph-python/1.69.146", "data", "data", "object"),
    ("pictograph-python-async/1.69.146", "data", "data", "object"),
    ("pictograph-python/1.100.0", "data", "data", "object"),
    ("pictograph-python/2.0.0", "data", "data", "object"),
    ("pictograph-python/next", "data", "data", "object"),
    (f"pictograph-python/{'9' * 5000}.0.0", "data", "data", "object"),
]


@pytest.mark.parametrize(("user_agent", "one", "many", "error"), CLIENTS)
def test_each_client_finds_what_it_reads(
    user_agent: str, one: str | None, many: str | None, error: str
) -> None:
    dialect = dialect_of(user_agent)
    assert dialects.one_export(dialect, EXPORT) == (EXPORT if one is None else {one: EXPORT})
    listed = dialects.many_exports(dialect, ROWS, total=7, limit=2, offset=4)
    if many is None:
        assert listed == ROWS
    else:
        assert isinstance(listed, dict)
        assert listed[many] == ROWS
        assert listed["pagination"] == {"total": 7, "limit": 2, "offset": 4, "has_more": True}
    assert dialect.error == error


@pytest.mark.parametrize(("user_agent", "one", "many", "error"), CLIENTS)
def test_datasets_are_where_exports_are(
    user_agent: str, one: str | None, many: str | None, error: str
) -> None:
    dialect, row = dialect_of(user_agent), ROWS[0]
    place = {None: None, "export": "dataset", "data": "data"}[one]
    assert dialects.one_dataset(dialect, row) == (row if place is None else {place: row})
    listed = dialects.many_datasets(dialect, ROWS, total=7, limit=2, offset=4)
    if many == "data":
        pagination = {"total": 7, "limit": 2, "offset": 4, "has_more": True}
        assert listed == {"data": ROWS, "pagination": pagination}
    else:
        assert listed == {"datasets": ROWS, "total": 7}


@pytest.mark.parametrize(("user_agent", "one", "many", "error"), CLIENTS)
def test_every_client_finds_a_readable_error(
    user_agent: str, one: str | None, many: str | None, error: str
) -> None:
    body = dialects.error_answer(dialect_of(user_agent), "conflict", "Taken.", {"name": "x"})
    assert body["detail"] == "Taken."
    if error == "object":
        expected = {"code": "conflict", "message": "Taken.", "details": {"name": "x"}}
        assert body["error"] == expected
    else:
        assert (body["error"], body["message"]) == ("conflict", "Taken.")
        assert body["details"] == {"name": "x"}


@pytest.mark.parametrize(("user_agent", "one", "many", "error"), CLIENTS)
def test_every_client_finds_the_link(
    user_agent: str, one: str | None, many: str | None, error: str
) -> None:
    body = dialects.other_answer(dialect_of(user_agent), {"download_url": "http://x/"})
    assert body["download_url"] == "http://x/"
    if one == "data":
        assert body["data"]["download_url"] == "http://x/"


@pytest.mark.parametrize("form", [Form.BY_NAME, Form.QUERY])
@pytest.mark.parametrize("user_agent", ["", "curl/7.88.1", "pictograph-python/1.29.0"])
def test_the_forms_of_new_sdks_are_decisive(form: Form, user_agent: str) -> None:
    assert dialects.one_export(dialect_of(user_agent, form), EXPORT) == {"data": EXPORT}


@pytest.mark.parametrize("form", set(Form) - {Form.BY_NAME, Form.QUERY})
def test_other_forms_say_nothing_about_the_client(form: Form) -> None:
    assert dialect_of("curl/7.88.1", form) is PAGE


def test_an_sdk_keeps_its_errors_on_a_form_of_its_own() -> None:
    assert dialect_of("pictograph-python/1.61.0", Form.BY_NAME).error == "slug"


@pytest.mark.parametrize(
    ("user_agent", "formats"),
    [
        ("curl/7.88.1", set()),
        ("pictograph-python-sdk/0.1.0", set()),
        ("pictograph-python/1.0.0", FIRST_FORMATS),
        ("pictograph-python/1.2.0", FIRST_FORMATS),
        ("pictograph-python/1.5.0", {*FIRST_FORMATS, "darwin"}),
        ("pictograph-python/1.37.0", {*FIRST_FORMATS, "darwin"}),
        ("pictograph-python/1.45.0", {*FIRST_FORMATS, "darwin", "datumaro"}),
        ("pictograph-python/1.62.0", {*FIRST_FORMATS, "darwin", "datumaro"}),
        ("pictograph-python/1.63.0", ALL_FORMATS),
        ("pictograph-python/1.69.146", ALL_FORMATS),
        ("pictograph-python/1.70.0", set()),
    ],
)
def test_a_list_has_the_formats_that_the_client_can_read(
    user_agent: str, formats: set[str]
) -> None:
    assert set(dialect_of(user_agent).formats) == formats


def test_only_the_first_sdk_repeats_creates_without_a_key() -> None:
    repeating = [agent for agent, *_ in CLIENTS if dialect_of(agent).repeats_create]
    assert repeating == ["pictograph-python-sdk/0.1.0"]


def test_the_last_page_has_no_more() -> None:
    listed = dialects.many_exports(
        dialect_of("pictograph-python/1.69.146"), ROWS, total=6, limit=2, offset=4
    )
    assert isinstance(listed, dict)
    assert listed["pagination"]["has_more"] is False
