"""Profiles: which server the commands call, and with which key, by name in a file.

    [default]
    server = "exports.example.org:443"
    api_key = "pk_live_…"
    server_ca = "/etc/ssl/certs/ca-certificates.crt"

    [staging]
    server = "127.0.0.1:50051"
    api_key = "pk_live_…"

Options and the environment win over a profile.
"""

import os
import stat
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from services.settings import Settings, SettingsError

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """What one section of the file says; None where it says nothing."""

    server: str | None = None
    api_key: str | None = None
    server_ca: str | None = None
    server_name: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


def config_file() -> Path:
    """`CARTOUCHE_CONFIG`, or `cartouche.toml` where the XDG base directory specification has the
    files of a user's settings."""
    if named := os.environ.get("CARTOUCHE_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "cartouche.toml"


def read_profile(name: str, file: Path) -> Profile:
    """A profile of the file. Without a file there is only an empty default.

    Raises:
        SettingsError: the file cannot be read, others than its owner can read its keys, or it has
            no such profile.
    """
    try:
        with file.open("rb") as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = tomllib.load(opened)
    except FileNotFoundError:
        if name == DEFAULT:
            return Profile()
        raise SettingsError(f"there is no profile {name!r}, as there is no {file}") from None
    except OSError as error:
        raise SettingsError(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None
    if name not in content:
        if name == DEFAULT:
            return Profile()
        known = ", ".join(content) or "none"
        raise SettingsError(f"{file} has no profile {name!r}; it has: {known}")
    profile = _profile(file, name, content[name])
    if profile.api_key and mode & 0o077:
        raise SettingsError(f"others can read the API keys in {file}; run: chmod 600 {file}")
    return profile


def with_profile(settings: Settings, profile: Profile) -> Settings:
    """The settings, with what the profile says where the environment says nothing."""
    told = {
        field.name: value
        for field in fields(profile)
        if (value := getattr(profile, field.name)) is not None
        and field.name not in settings.model_fields_set
    }
    for name in ("server_ca", "client_certificate", "client_key"):
        if name in told:
            told[name] = Path(told[name]).expanduser()
    return settings.model_copy(update=told)


def _profile(file: Path, name: str, section: object) -> Profile:
    known = [field.name for field in fields(Profile)]
    if not isinstance(section, dict):
        raise SettingsError(f"{file}: {name} is no section; write [{name}]")
    for key, value in section.items():
        if key not in known:
            raise SettingsError(f"{file}: [{name}] has {key!r}; it may have {', '.join(known)}")
        if not isinstance(value, str):
            raise SettingsError(f"{file}: {key} of [{name}] is no text")
    return replace(Profile(), **section)
