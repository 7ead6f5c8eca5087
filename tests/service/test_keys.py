"""API keys and the command that makes them: shown once, kept hashed, asked for clearly."""

import hashlib
import re
import stat
import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest
import typer
from typer.testing import CliRunner

from services.cli.app import app
from tests.datasets import unique
from tests.processes import environment
from tests.stack import CARTOUCHE, ROLES, Embedded, Production, Stack

KEY = re.compile(r"pk_live_[A-Za-z0-9]{32}")
COMMANDS = sorted(typer.main.get_group(app).commands)


def dump(stack: Stack) -> bytes:
    """Everything that the database holds."""
    if isinstance(stack, Production):
        url = stack.env["CARTOUCHE_DATABASE_URL"]
        with psycopg.connect(url) as connection:
            names = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall()
            content = b""
            for (name,) in names:
                with connection.cursor().copy(f"COPY {name} TO STDOUT".encode()) as rows:
                    content += b"".join(map(bytes, rows))
            return content
    files = (stack.folder / "home").glob("cartouche.db*")
    return b"".join(file.read_bytes() for file in files)


def run(folder: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`cartouche ARGUMENTS` where nothing is set up yet."""
    return subprocess.run(
        [str(CARTOUCHE), *arguments],
        env=environment(CARTOUCHE_HOME=str(folder / "home"), **settings),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_keys_are_shown_once_and_kept_hashed(stack: Stack) -> None:
    words = ("keys", "create", "--organization", unique("keys"), "--role", "member")
    first, second = (stack.command(*words).stdout for _ in range(2))
    assert first != second
    keys = [first, second, *(stack.key(role) for role in ROLES)]
    content = dump(stack)
    log = stack.log(10_000_000)
    for printed in keys:
        key = printed.strip()
        assert KEY.fullmatch(key)
        assert key.encode() not in content
        assert key[12:].encode() not in content
        # What is looked for is there in its hashed form.
        assert hashlib.sha256(key.encode()).hexdigest().encode() in content
        assert key not in log
    assert first.count("\n") == 1


def test_the_first_keys_are_for_their_owner_alone(embedded: Embedded) -> None:
    file = embedded.folder / "home" / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(KEY.findall(file.read_text())) == {
        embedded.key(role) for role in ("owner", "member", "viewer")
    }


def test_the_home_is_for_its_owner_alone(embedded: Embedded) -> None:
    assert stat.S_IMODE((embedded.folder / "home").stat().st_mode) == 0o700


def status(stack: Stack, key: str) -> int:
    """How a list of exports answers to a key."""
    headers = {"X-API-Key": key}
    return httpx.get(
        f"{stack.base_url}/api/v1/developer/exports/", headers=headers, trust_env=False
    ).status_code


def test_keys_are_listed_revoked_and_rotated(stack: Stack) -> None:
    organization = unique("rotated")

    def keys(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return stack.command(
            "keys", *words[:1], "--organization", organization, *words[1:], check=check
        )

    made = {
        role: keys("create", "--role", role).stdout.strip()
        for role in ("viewer", "member", "admin")
    }
    short = keys("create", "--role", "viewer", "--expires", "0").stdout.strip()
    assert {status(stack, key) for key in made.values()} == {200}
    assert status(stack, short) == 401
    listed = keys("list").stdout.splitlines()
    assert len(listed) == 4
    for role, key in made.items():
        (line,) = [line for line in listed if f" {key[:12]}…" in line]
        assert role in line
        assert "does not expire" in line
        assert key not in line
    assert sum("expired 20" in line for line in listed) == 1

    assert made["viewer"][:12] in keys("revoke", made["viewer"][:12]).stdout
    assert status(stack, made["viewer"]) == 401
    new = keys("rotate", made["member"], "--grace", "1").stdout.strip()
    assert KEY.fullmatch(new)
    assert (status(stack, new), status(stack, made["member"])) == (200, 200)
    newest = keys("rotate", new, "--grace", "0").stdout.strip()
    assert (status(stack, newest), status(stack, new)) == (200, 401)
    # Of another organization, gone, or never there.
    for which in (made["viewer"], stack.key("viewer"), "pk_live_0000", "no-id"):
        done = keys("revoke", which, check=False)
        assert done.returncode == 1
        assert "has no such key" in done.stderr
        assert done.stderr.count("\n") == 1
    assert status(stack, stack.key("viewer")) == 200


@pytest.mark.parametrize(
    ("organization", "role", "said"),
    [
        ("ours", "boss", "role: 'boss' is not one of viewer, member, admin, owner"),
        ("ours", "Owner", "role: 'Owner' is not one of viewer, member, admin, owner"),
        (" ", "owner", "organization: give a name of 1 to 120 characters"),
        ("x" * 121, "owner", "organization: give a name of 1 to 120 characters"),
    ],
)
def test_what_a_key_needs(embedded: Embedded, organization: str, role: str, said: str) -> None:
    done = embedded.command(
        "keys", "create", "--organization", organization, "--role", role, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"cartouche: {said}\n"


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS), ("keys", "create")])
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, [*words, "--help"], prog_name="cartouche")
    assert answer.exit_code == 0
    assert f"Usage: {' '.join(('cartouche', *words))}" in answer.output
    if not words:
        assert all(name in answer.output for name in COMMANDS)


def test_help_needs_no_settings(tmp_path: Path) -> None:
    answer = run(tmp_path, "--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Usage: cartouche" in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_each_part_says_what_it_needs(tmp_path: Path) -> None:
    key = ("keys", "create", "--organization", "a", "--role", "owner")
    assert_one_line(run(tmp_path, "serve"), "run `cartouche migrate` first")
    assert_one_line(run(tmp_path, *key), "run `cartouche migrate` first")
    assert run(tmp_path, "migrate").returncode == 0
    assert KEY.fullmatch(run(tmp_path, *key).stdout.strip())
    assert_one_line(run(tmp_path, "serve"), "CARTOUCHE_S3_ENDPOINT is not set")
    store = {f"CARTOUCHE_S3_{name}": "x" for name in ("ACCESS_KEY", "SECRET_KEY")}
    wrong = run(tmp_path, "worker", CARTOUCHE_S3_ENDPOINT="localhost", **store)
    assert_one_line(wrong, "CARTOUCHE_S3_ENDPOINT")
    right = run(tmp_path, "worker", CARTOUCHE_S3_ENDPOINT="http://127.0.0.1:9", **store)
    assert_one_line(right, "CARTOUCHE_BROKER_URL is not set")
    store["CARTOUCHE_S3_ENDPOINT"] = "http://127.0.0.1:9"
    other = run(tmp_path, "serve", CARTOUCHE_BROKER_URL="kafka://127.0.0.1", **store)
    assert_one_line(other, "kafka:// is not supported")


@pytest.mark.parametrize(
    ("command", "threads", "needed"), [("serve", 4, 51), ("worker", 7, 18), ("run", 4, 61)]
)
def test_fewer_connections_than_threads_are_refused(
    tmp_path: Path, command: str, threads: int, needed: int
) -> None:
    settings = {
        "CARTOUCHE_DATABASE_POOL": str(needed - 1),
        "CARTOUCHE_WORKER_THREADS": str(threads),
    }
    done = run(tmp_path, command, **settings)
    assert_one_line(done, f"CARTOUCHE_DATABASE_POOL is {needed - 1}")
    assert f"Give {needed} or more" in done.stderr
    if command != "run":
        settings["CARTOUCHE_DATABASE_POOL"] = str(needed)
        assert_one_line(run(tmp_path, command, **settings), "run `cartouche migrate` first")


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "migrate", CARTOUCHE_GRPC_PORT="many", CARTOUCHE_VERIFY="never")
    assert_one_line(done, "CARTOUCHE_GRPC_PORT")
    assert "CARTOUCHE_VERIFY" in done.stderr


def test_a_database_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:9/none"
    assert_one_line(
        run(tmp_path, "migrate", CARTOUCHE_DATABASE_URL=url), "The database does not answer"
    )


def assert_one_line(done: "subprocess.CompletedProcess[str]", said: str) -> None:
    """The command failed, and said so and nothing else."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("cartouche: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
