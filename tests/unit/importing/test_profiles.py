"""Profiles: which server and key the commands use."""

from pathlib import Path

import pytest

from services.importing.profiles import DEFAULT, Profile, read_profile, with_profile
from services.settings import Settings, SettingsError

FILE = """
[default]
server = "one:1"
api_key = "pk_live_one"

[staging]
server = "two:2"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that only its owner reads."""
    made = tmp_path / "cartouche.toml"
    made.write_text(FILE)
    made.chmod(0o600)
    return made


def test_profiles_are_read_by_name(file: Path) -> None:
    assert read_profile(DEFAULT, file) == Profile("one:1", "pk_live_one")
    assert read_profile("staging", file) == Profile("two:2")


def test_without_a_file_the_default_is_empty(tmp_path: Path) -> None:
    assert read_profile(DEFAULT, tmp_path / "none") == Profile()
    with pytest.raises(SettingsError, match="no profile 'staging'"):
        read_profile("staging", tmp_path / "none")


def test_the_environment_wins(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = read_profile(DEFAULT, file)
    monkeypatch.delenv("CARTOUCHE_SERVER", raising=False)
    assert with_profile(Settings(), profile).server == "one:1"
    monkeypatch.setenv("CARTOUCHE_SERVER", "three:3")
    told = with_profile(Settings(), profile)
    assert (told.server, told.api_key) == ("three:3", "pk_live_one")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[default", "is not TOML"),
        ("server = 'x'\n[default]\nport = '1'", "has 'port'; it may have server, api_key"),
        ("default = 3", r"write \[default\]"),
        ("[default]\nserver = 3", "server of .default. is no text"),
        ("[other]", "has no profile 'staging'; it has: other"),
    ],
)
def test_mistakes_are_named(content: str, problem: str, file: Path) -> None:
    file.write_text(content)
    with pytest.raises(SettingsError, match=problem):
        read_profile("staging" if "other" in content else DEFAULT, file)


def test_keys_that_others_can_read_are_refused(file: Path) -> None:
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_profile(DEFAULT, file)
    # There is no key in that one.
    assert read_profile("staging", file).server == "two:2"
