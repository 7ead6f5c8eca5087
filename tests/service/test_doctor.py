"""`cartouche doctor`, on a stack that is well and on one that is not."""

import subprocess

import psycopg
import pytest

from services.exports.model import archive_key
from tests.datasets import Picture, jpeg, put_all, unique
from tests.exports import completed, object_store
from tests.stack import CARTOUCHE, Production


def doctor(stack: Production, **settings: str) -> tuple[int, dict[str, str]]:
    """Its exit code, and what it says of each part."""
    done = subprocess.run(
        [CARTOUCHE, "doctor"],
        env=stack.env | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line.split(": ", 1) for line in done.stdout.splitlines()]
    return done.returncode, {line[0]: line[1] for line in lines}


def test_all_is_well(production: Production) -> None:
    code, said = doctor(production)
    assert (code, list(said)) == (
        0,
        [
            f"ok     {part}"
            for part in (
                *("database", "clock", "object store", "links", "look inside"),
                *("broker", "inventory"),
            )
        ],
    ), said


def test_keys_of_links_that_may_write_are_named(production: Production) -> None:
    code, said = doctor(production)
    assert (code, said["ok     links"].endswith(" alone")) == (0, True), said
    keys = {
        f"CARTOUCHE_S3_SIGNING_{name}": production.env[f"CARTOUCHE_S3_{name}"]
        for name in ("ACCESS_KEY", "SECRET_KEY")
    }
    code, said = doctor(production, **keys)
    assert (code, "write it" in said["ok     links"]) == (0, True), said
    code, said = doctor(production, **dict.fromkeys(keys, ""))
    assert (code, "everybody sees" in said["ok     links"]) == (0, True), said


def test_a_console_that_cannot_look_inside_is_no_fault(production: Production) -> None:
    code, said = doctor(production, CARTOUCHE_S3_PUBLIC_ENDPOINT="http://127.0.0.1:9")
    assert (code, "no answer here" in said["LACKS  look inside"]) == (0, True), said
    code, said = doctor(production, CARTOUCHE_CONSOLE="false")
    assert (code, [part for part in said if "look inside" in part]) == (0, []), said
    origins = "https://a.example.com, https://b.example.com"
    code, said = doctor(production, CARTOUCHE_S3_CORS_ORIGINS=origins)
    assert (code, origins in said["ok     look inside"]) == (0, True), said


@pytest.mark.parametrize(
    ("part", "settings", "says"),
    [
        ("object store", {"CARTOUCHE_S3_SECRET_KEY": "wrong"}, "CARTOUCHE_S3_SECRET_KEY"),
        ("object store", {"CARTOUCHE_S3_EXPORTS_BUCKET": "none-such"}, "create the bucket"),
        ("links", {"CARTOUCHE_S3_SIGNING_SECRET_KEY": "wrong"}, "CARTOUCHE_S3_SIGNING_SECRET_KEY"),
        ("broker", {"CARTOUCHE_BROKER_URL": "amqp://127.0.0.1:9"}, ""),
        ("database", {"CARTOUCHE_DATABASE_URL": "postgresql://127.0.0.1:9/x"}, "does not answer"),
    ],
)
def test_what_is_wrong_is_named(
    production: Production, part: str, settings: dict[str, str], says: str
) -> None:
    code, said = doctor(production, **settings)
    assert code == 1
    assert says in said[f"WRONG  {part}"]
    assert said["ok     broker" if part != "broker" else "ok     database"]


def test_an_archive_that_is_missing_is_named(production: Production) -> None:
    dataset = unique("doctor")
    put_all(production, dataset, [Picture("a.jpg", jpeg())])
    export = completed(production, dataset)
    # A moment ago it might still be on its way.
    with psycopg.connect(production.env["CARTOUCHE_DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE exports SET completed_at = completed_at - 200000 WHERE id = %s", [export.id]
        )
    with object_store(production) as store:
        key = archive_key(export.organization_id, export.id)
        archive = b"".join(store.stream(store.exports_bucket, key))
        store.delete(store.exports_bucket, key)
        try:
            code, said = doctor(production)
        finally:
            store.put(store.exports_bucket, key, archive, "application/zip")
    assert code == 1
    assert f"export {export.id}" in said["WRONG  inventory"]
