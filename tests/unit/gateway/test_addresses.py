"""Paths as clients really send them, and what each addresses."""

# ruff: noqa: RUF001 - the names are those that real clients were seen to send

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.addresses import ById, ByName, Form, Reading, Target, read

P = "/api/v1/developer/exports/"
ID = "11111111-2222-3333-4444-555555555555"


def reads(tail: str, query: str = "", *, prefers_by_name: bool = False) -> Target:
    return read((P + tail).encode(), query.encode(), prefers_by_name=prefers_by_name)


def name(dataset: str, export: str) -> Reading:
    return Reading(ByName(dataset, export))


def link(dataset: str, export: str) -> Reading:
    return Reading(ByName(dataset, export), download=True)


@pytest.mark.parametrize(
    ("tail", "query", "form", "readings"),
    [
        ("ds/exp1", "", Form.PAGE, [name("ds", "exp1")]),
        ("ds/exp1/", "", Form.PAGE, [name("ds", "exp1")]),
        ("ds/exp1/download", "", Form.PAGE, [link("ds", "exp1"), name("ds", "exp1/download")]),
        ("ds/exp1/download/", "", Form.PAGE, [link("ds", "exp1"), name("ds", "exp1/download")]),
        (ID, "", Form.ID, [Reading(ById(ID))]),
        (ID.upper() + "/", "", Form.ID, [Reading(ById(ID))]),
        (
            f"{ID}/download",
            "",
            Form.ID,
            [Reading(ById(ID), download=True), name(ID, "download")],
        ),
        ("by-name/ds/exp1", "", Form.BY_NAME, [name("ds", "exp1")]),
        (
            "by-name/ds/exp1/download",
            "",
            Form.BY_NAME,
            [link("ds", "exp1"), name("ds", "exp1/download")],
        ),
        ("exp1", "dataset=ds", Form.QUERY, [name("ds", "exp1")]),
        ("exp1", "dataset=street+scenes", Form.QUERY, [name("street scenes", "exp1")]),
        ("exp1", "dataset=street%20scenes", Form.QUERY, [name("street scenes", "exp1")]),
        ("exp1/download", "dataset=ds", Form.QUERY, [link("ds", "exp1")]),
        (ID, "dataset=ds", Form.QUERY, [name("ds", ID)]),
        (f"{ID}/download", "dataset=ds", Form.QUERY, [link("ds", ID)]),
        ("download", "dataset=ds", Form.QUERY, [name("ds", "download")]),
        ("download/download", "dataset=ds", Form.QUERY, [link("ds", "download")]),
        ("bulk-delete", "dataset=ds", Form.QUERY, [name("ds", "bulk-delete")]),
        ("bulk-delete", "", Form.BULK_DELETE, []),
        ("bulk-delete/", "", Form.BULK_DELETE, []),
        ("preview", "", Form.PREVIEW, []),
        ("preview/", "", Form.PREVIEW, []),
        ("preview", "dataset=ds", Form.QUERY, [name("ds", "preview")]),
        ("preview/download", "", Form.PAGE, [name("preview", "download")]),
        ("ds/download", "", Form.PAGE, [name("ds", "download")]),
        ("ds/bulk-delete", "", Form.PAGE, [name("ds", "bulk-delete")]),
        ("by-name/exp1", "", Form.PAGE, [name("by-name", "exp1")]),
        (
            "ds/download/download",
            "",
            Form.PAGE,
            [link("ds", "download"), name("ds", "download/download")],
        ),
        ("", "", Form.COLLECTION, []),
        ("", "dataset=ds", Form.COLLECTION, []),
    ],
)
def test_every_form(tail: str, query: str, form: Form, readings: list[Reading]) -> None:
    target = reads(tail, query)
    assert (target.form, list(target.readings)) == (form, readings)


def test_the_collection_without_its_slash() -> None:
    assert read(P.rstrip("/").encode(), b"limit=1").form is Form.COLLECTION


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/api/v1/developer", "/api/v1/developer/exportsx", "/API/v1/developer"]
)
def test_other_paths_are_outside(path: str) -> None:
    target = read(path.encode(), b"dataset=ds")
    assert target == Target(Form.OUTSIDE)
    assert target.methods == ()


def test_by_name_download_depends_on_the_client() -> None:
    page, by_name = link("by-name", "a"), name("a", "download")
    assert reads("by-name/a/download") == Target(Form.PAGE, (page, by_name), download=True)
    assert reads("by-name/a/download", prefers_by_name=True) == Target(
        Form.BY_NAME, (by_name, page)
    )


ODD = "Train v1/α?#% +&"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        # Fully quoted, by SDKs from 1.7.27 on.
        ("Train%20v1%2F%CE%B1%3F%23%25%20%2B%26", ODD),
        ("50%25%20off", "50% off"),
        ("a%2520b", "a%20b"),
        ("a%2Bb", "a+b"),
        ("a%5Cb", "a\\b"),
        # Python's quote() leaves the slash.
        ("Train%20v1/%CE%B1%3F%23%25%20%2B%26", ODD),
        # Older SDKs and their HTTP libraries.
        ("Train%20v1/%CE%B1", "Train v1/α"),
        ("50%%20off", "50% off"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
        ("a\\b", "a\\b"),
        # encodeURIComponent and Go's PathEscape leave more.
        ("a!'()*", "a!'()*"),
        ("a$&+=:@b", "a$&+=:@b"),
        # Not escapes at all.
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("%E4%BD%A0", "你"),
    ],
)
def test_names_as_clients_encode_them(sent: str, meant: str) -> None:
    assert reads(f"ds/{sent}").readings == (name("ds", meant),)
    assert reads(f"ds/{sent}/download").readings[0] == link("ds", meant)
    assert reads(f"by-name/ds/{sent}").readings == (name("ds", meant),)
    if "/" not in sent:
        assert reads(sent, "dataset=ds").readings == (name("ds", meant),)


names = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=100).filter(
    lambda text: text.strip() and text not in (".", "..")
)


@given(names, names)
def test_a_quoted_name_arrives_as_it_is(dataset: str, export: str) -> None:
    ds, exp = quote(dataset, safe=""), quote(export, safe="")
    expected = ByName(dataset, export)
    assert reads(f"by-name/{ds}/{exp}", prefers_by_name=True).readings[0].address == expected
    assert reads(exp, f"dataset={ds}").readings[0].address == expected
    assert reads(f"{exp}/download", f"dataset={ds}").readings[0] == Reading(expected, True)
    if (dataset, export) != ("by-name", "download") and export != "download":
        assert reads(f"{ds}/{exp}").readings[0].address == expected


@given(st.binary(max_size=60), st.binary(max_size=30))
def test_no_path_breaks_it(tail: bytes, query: bytes) -> None:
    for reading in read(P.encode() + tail, query).readings:
        if isinstance(reading.address, ByName):
            assert reading.address.dataset_name.strip()
            reading.address.name.encode()


@pytest.mark.parametrize(
    "tail", [".", "..", "%2e%2E", "ds/.", "ds/..", "ds/x/../..", "../datasets", "ds/%2E/x"]
)
def test_dot_segments_address_nothing_and_can_only_be_read(tail: str) -> None:
    target = reads(tail)
    assert (target.form, target.readings) == (Form.DOTS, ())
    assert "DELETE" not in target.methods


@pytest.mark.parametrize(
    "tail", ["ds/a%00b", "ds/%0A", "ds/%FF", "%20/x", "not-an-id", "/x", "ds//", "ds/" + "x" * 101]
)
def test_impossible_names_address_nothing(tail: str) -> None:
    assert reads(tail).readings == ()


@pytest.mark.parametrize(
    ("tail", "methods"),
    [
        ("", ("GET", "HEAD", "POST", "OPTIONS")),
        ("bulk-delete", ("POST", "OPTIONS")),
        ("ds/x", ("GET", "HEAD", "DELETE", "OPTIONS")),
        (ID, ("GET", "HEAD", "DELETE", "OPTIONS")),
        ("ds/x/download", ("GET", "HEAD", "OPTIONS")),
        (f"{ID}/download", ("GET", "HEAD", "OPTIONS")),
    ],
)
def test_methods(tail: str, methods: tuple[str, ...]) -> None:
    assert reads(tail).methods == methods


@pytest.mark.parametrize("action", ["retry", "cancel"])
@pytest.mark.parametrize(
    ("tail", "query", "acted"),
    [
        ("ds/exp1", "", [name("ds", "exp1")]),
        ("ds/a/b", "", [name("ds", "a/b")]),
        (ID, "", [Reading(ById(ID))]),
        ("by-name/ds/exp1", "", [name("ds", "exp1")]),
        ("exp1", "dataset=ds", [name("ds", "exp1")]),
        # Nothing can ever be there.
        ("no-id", "", []),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_post_acts_on_what_stands_before_its_verb(
    action: str, tail: str, query: str, acted: list[Reading], slash: str
) -> None:
    target = reads(f"{tail}/{action}{slash}", query)
    assert (target.action, list(target.acted)) == (action, acted)
    assert target.methods == ("POST", "OPTIONS")
    # An export may be called so, too.
    assert all(not reading.download for reading in target.readings)


@pytest.mark.parametrize("tail", ["retry", "bulk-delete/cancel", "preview/retry", "ds/retrying"])
def test_not_every_path_that_ends_so_acts(tail: str) -> None:
    assert reads(tail).action == ""
