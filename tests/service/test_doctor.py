"""`cartouche doctor`, on a stack that is well and on one that is not."""

import subprocess

import pytest

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
        [f"ok     {part}" for part in ("database", "clock", "object store", "broker", "inventory")],
    ), said


@pytest.mark.parametrize(
    ("part", "settings", "says"),
    [
        ("object store", {"CARTOUCHE_S3_SECRET_KEY": "wrong"}, "CARTOUCHE_S3_SECRET_KEY"),
        ("object store", {"CARTOUCHE_S3_EXPORTS_BUCKET": "none-such"}, "create the bucket"),
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
