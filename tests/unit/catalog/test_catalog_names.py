"""Archive names are safe everywhere and unique by stem without case."""

import unicodedata
from posixpath import splitext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.catalog.names import (
    MAX_COMPONENT,
    _made_safe,
    archive_name,
    name_key,
    safe_name,
)

# Characters that provoke: what Windows forbids, case pairs, marks, invisible ones, blanks.
ALPHABET = st.one_of(
    st.sampled_from('aAbßẞİ\u0131éàñ~0123./\\:*?"<>| \t\n\x00\u200b\u202e\u0301\u0338\u00a0漢🐍_'),
    st.characters(),
)
PATHS = st.one_of(
    st.text(ALPHABET, max_size=12),
    st.builds(
        "{}/{}{}".format,
        st.sampled_from("aAb"),
        st.text(ALPHABET, max_size=4),
        st.sampled_from([".jpg", ".JPG", ".png", "", ".", ".json"]),
    ),
    st.text("漢aé", min_size=60, max_size=120).map(lambda stem: f"x/{stem}.jpeg"),
    st.builds("{}~{}.jpg".format, st.sampled_from("aAb"), st.integers(0, 20)),
)


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("street/0001.jpg", "street/0001.jpg"),
        ("кошка на траве.jpg", "кошка на траве.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("../../etc/passwd", "_/_/etc/passwd"),
        ("/root.jpg", "root.jpg"),
        ("C:\\images\\a.jpg", "C__images_a.jpg"),
        ("zero\u200bwidth\u202ertl.jpg", "zero_width_rtl.jpg"),
        ("tab\tname.jpg", "tab_name.jpg"),
        ("CON.jpg", "_CON.jpg"),
        ("aux/nul.tar.gz", "_aux/_nul.tar.gz"),
        ("com¹.png", "_com¹.png"),
        ("console.jpg", "console.jpg"),
        ("trailing space .jpg", "trailing space.jpg"),
        ("dots.../a. .jpg", "dots/a.jpg"),
        (".hidden.jpg", "_hidden.jpg"),
        ("two..dots.tar.jpg", "two..dots.tar.jpg"),
        ("shots.jpg/a.png", "shots.jpg_/a.png"),
        ("x.JSON/a.png", "x.JSON_/a.png"),
        ("", "_"),
        ("//", "_"),
        ("\udcff.jpg", "_.jpg"),
    ],
)
def test_safe_name(path: str, safe: str) -> None:
    assert safe_name(path) == safe


def test_long_names_keep_their_extension() -> None:
    assert safe_name("漢" * 100 + ".jpeg") == "漢" * 65 + ".jpeg"
    assert archive_name("L" * 300 + ".jpg", 1234, True) == "L" * 191 + "~1234.jpg"


def test_only_what_collides_is_numbered() -> None:
    assert archive_name("a/b.jpg", 7, False) == "a/b.jpg"
    assert archive_name("a/b.png", 8, True) == "a/b~8.png"
    assert archive_name("a/b~8.jpg", 9, False) == "a/b~8~9.jpg"


@given(PATHS)
@example("a" * 196 + ".jpg ")
def test_safe_names_are_safe_and_stay(path: str) -> None:
    safe = safe_name(path)
    assert safe_name(safe) == safe
    assert unicodedata.is_normalized("NFC", safe)
    assert not set(safe) & set('<>:"|?*\\')
    *folders, name = safe.split("/")
    for component in (*folders, name):
        assert component not in ("", ".", "..")
        assert len(component.encode()) <= MAX_COMPONENT
        assert component == component.strip()
        assert not component.startswith(".")
        assert not component.endswith(".")
    assert not any(splitext(folder)[1].lower() in (".jpg", ".png", ".json") for folder in folders)


@given(st.text("acnorux/.~-_ 1JPGjsonp", max_size=24))
@example("a/CON")
@example("con.a/b")
@example("a.png/b")
@example("a.JSON")
@example("a.json\n")
@example("a." + "b" * 32)
def test_plain_names_are_those_that_the_long_way_leaves_alone(path: str) -> None:
    assert safe_name(path) == _made_safe(path)
    if safe_name(path) == path and "~" not in path:
        assert archive_name(path, 7, False) == path


@given(st.lists(PATHS, unique=True, max_size=30), st.randoms(use_true_random=False))
def test_archive_names_are_unique_without_case_and_extension(paths: list[str], random) -> None:  # type: ignore[no-untyped-def]
    numbers = list(range(1, len(paths) + 1))
    random.shuffle(numbers)
    seen: set[str] = set()
    names = []
    for path, number in zip(sorted(paths), numbers, strict=True):
        key = name_key(path)
        names.append(archive_name(path, number, key in seen))
        seen.add(key)
    keys = {name_key(name) for name in names}
    assert len(keys) == len(names)
    assert all(safe_name(name) == name for name in names)
    # What file systems compare: neither case nor composition tells two names apart.
    folded = {
        unicodedata.normalize("NFD", unicodedata.normalize("NFD", splitext(n)[0]).casefold())
        for n in names
    }
    assert len(folded) == len(names)
