"""Settings that cannot work are refused with what to do, before anything starts."""

import os
import re
from pathlib import Path

import pytest

from services.process import threads
from services.settings import Settings, SettingsError, load

README = Path(__file__).parents[2] / "README.md"
DAY = 24 * 3600
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARTOUCHE_")]:
        monkeypatch.delenv(name)


def loaded(monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]) -> Settings:
    for name, value in settings.items():
        monkeypatch.setenv(f"CARTOUCHE_{name}", str(value))
    return load()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        # What an empty line of an environment file leaves.
        {"DATABASE_URL": "", "LEASE": "", "DATABASE_POOL": ""},
        {"LEASE": 1, "RECONCILE_INTERVAL": 0.9},
        {"LEASE": 4, "RECONCILE_INTERVAL": 0.5, "EXPORT_DEADLINE": 4},
        {"RECONCILE_INTERVAL": 0.1, "RETENTION": 0},
        {"DOWNLOAD_URL_TTL": 1},
        {"DOWNLOAD_URL_TTL": 7 * DAY},
        {"PART_SIZE": 5 * MIB},
        {"PART_SIZE": 1024 * MIB},
        {"DATABASE_POOL": 1, "WORKER_THREADS": 64},
        {"HTTP_PORT": 0, "GRPC_PORT": 65535},
        {"S3_SIGNING_ACCESS_KEY": "links", "S3_SIGNING_SECRET_KEY": "secret"},
        {"S3_CORS_ORIGINS": "none"},
        {"S3_CORS_ORIGINS": "https://a.example.com, http://localhost:8080"},
        {"DATABASE_URL": "postgres://host/name", "RATE_LIMIT_URL": "rediss://host/1"},
        {"DATABASE_URL": "sqlite:////folder/name.db", "RATE_LIMIT_URL": "memory://"},
    ],
)
def test_what_works_is_taken(monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]) -> None:
    loaded(monkeypatch, settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"S3_CORS_ORIGINS": "a.example.com"}, "CARTOUCHE_S3_CORS_ORIGINS has 'a.example.com'"),
        ({"S3_CORS_ORIGINS": "https://a/console"}, "has 'https://a/console': give origins"),
        ({"S3_CORS_ORIGINS": "none, *"}, "CARTOUCHE_S3_CORS_ORIGINS has 'none'"),
        ({"S3_KMS_KEY_ID": "key"}, "CARTOUCHE_S3_KMS_KEY_ID is of no use but with"),
        ({"IMPORT_SPACE": 1000}, "CARTOUCHE_IMPORT_SPACE is '1000': it should be greater than"),
        ({"WORKER_LANES": "fast"}, "CARTOUCHE_WORKER_LANES is 'fast': it should be 'all', 'short'"),
        ({"GRPC_CERTIFICATE": "a"}, "CARTOUCHE_GRPC_CERTIFICATE and CARTOUCHE_GRPC_KEY belong"),
        ({"GRPC_CLIENT_CA": "a"}, "is of no use without CARTOUCHE_GRPC_CERTIFICATE"),
        (
            {"CLIENT_CERTIFICATE": "a", "CLIENT_KEY": "b"},
            "CARTOUCHE_CLIENT_CERTIFICATE is of no use without CARTOUCHE_SERVER_CA",
        ),
        ({"LEASE": 0}, "CARTOUCHE_LEASE is 0 seconds: give 1 or more"),
        ({"LEASE": -5}, "CARTOUCHE_LEASE is -5 seconds: give 1 or more"),
        ({"RECONCILE_INTERVAL": 0}, "CARTOUCHE_RECONCILE_INTERVAL is 0 seconds: give 0.1 or more"),
        ({"RECONCILE_INTERVAL": 31}, "CARTOUCHE_RECONCILE_INTERVAL is 31 and CARTOUCHE_LEASE 30"),
        ({"RECONCILE_INTERVAL": 30}, "give an interval of less than a lease"),
        ({"EXPORT_DEADLINE": 0}, "CARTOUCHE_EXPORT_DEADLINE is 0 seconds: give 1 or more"),
        ({"EXPORT_DEADLINE": 29}, "CARTOUCHE_EXPORT_DEADLINE is 29 and CARTOUCHE_LEASE 30"),
        ({"LEASE": 2 * DAY}, "give a deadline of a lease or more"),
        ({"RETENTION": -1}, "CARTOUCHE_RETENTION is -1 seconds: give 0 or more"),
        ({"DOWNLOAD_URL_TTL": 0}, "CARTOUCHE_DOWNLOAD_URL_TTL is 0 seconds: give 1 or more"),
        ({"DOWNLOAD_URL_TTL": 7 * DAY + 1}, "give 604800 seconds (7 days) or less"),
        ({"DOWNLOAD_URL_TTL": "soon"}, "CARTOUCHE_DOWNLOAD_URL_TTL is 'soon'"),
        ({"RETENTION": "9" * 30}, "it should be fewer seconds"),
        ({"PART_SIZE": 5 * MIB - 1}, "it should be greater than or equal to 5242880"),
        ({"PART_SIZE": 1024 * MIB + 1}, "it should be less than or equal to 1073741824"),
        ({"DATABASE_POOL": 0}, "CARTOUCHE_DATABASE_POOL is '0': it should be greater than"),
        ({"WORKER_THREADS": 0}, "CARTOUCHE_WORKER_THREADS is '0': it should be greater than"),
        ({"WORKER_THREADS": 65}, "it should be less than or equal to 64"),
        ({"HTTP_PORT": 65536}, "CARTOUCHE_HTTP_PORT is '65536': it should be less than"),
        ({"GRPC_PORT": -1}, "CARTOUCHE_GRPC_PORT is '-1': it should be greater than"),
        ({"RATE_LIMIT": -1}, "CARTOUCHE_RATE_LIMIT is '-1': it should be greater than"),
        ({"VERIFY": "never"}, "CARTOUCHE_VERIFY is 'never': it should be 'sample' or 'full'"),
        ({"S3_SIGNING_ACCESS_KEY": "links"}, "belong together: give both, or neither"),
        ({"S3_SIGNING_SECRET_KEY": "secret"}, "belong together: give both, or neither"),
        ({"DATABASE_URL": "mysql://host"}, "CARTOUCHE_DATABASE_URL begins with none of postgre"),
        ({"RATE_LIMIT_URL": "amqp://host"}, "CARTOUCHE_RATE_LIMIT_URL begins with none of redis"),
    ],
)
def test_what_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(monkeypatch, settings)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(monkeypatch, {"LEASE": 0, "DOWNLOAD_URL_TTL": 0, "RETENTION": -1})
    for name in ("LEASE", "DOWNLOAD_URL_TTL", "RETENTION"):
        assert f"CARTOUCHE_{name} is" in str(raised.value)


def test_a_refusal_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(monkeypatch, {"DATABASE_URL": "mysql://user:geheim@host/name", "LEASE": 0})
    assert "geheim" not in str(raised.value)


def test_the_readme_says_how_many_connections_each_part_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (row,) = re.findall(
        r"^\| `CARTOUCHE_DATABASE_POOL` .*$", README.read_text(), flags=re.MULTILINE
    )
    for workers in (1, 4):
        settings = loaded(monkeypatch, {"WORKER_THREADS": workers})
        assert f"`serve` needs {threads.of_server(settings)}" in row
        assert f"twice its threads and {threads.of_worker(settings) - 2 * workers}" in row
        assert f"twice its threads and {threads.of_everything(settings) - 2 * workers}" in row
    ported = loaded(monkeypatch, {"METRICS_PORT": 9464})
    assert threads.of_server(ported) == threads.of_server(settings) + 1
