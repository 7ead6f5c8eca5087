"""The official command line: every `exports` command and `datasets export`, with exit codes."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import environments
from tests.conformance.conftest import Install, client_environment, run_client
from tests.conformance.material import (
    ANNOTATIONS,
    COMPLETE,
    IMAGES,
    ORGANIZATION,
    PAGES,
    UNKNOWN_ID,
    WHY_BROKEN,
    LongList,
    check_archive,
)
from tests.conformance.table import Row, Table
from tests.stack import Stack

#: A busy machine takes longer than most tests may.
pytestmark = pytest.mark.timeout(300)

DRIVER = Path(__file__).parent / "drivers" / "cli.py"
VERSION = "1.69.146"
ODD_NAME = "Train v1/α?#% +&"  # noqa: RUF001 - real people write this


class Cli:
    """The command, with the owner's key; `drivers/cli.py` runs it."""

    def __init__(self, python: str, folder: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [python, str(DRIVER)],
            cwd=folder,
            env=client_environment(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, **env: str) -> Any:
        """The JSON that a command prints, which must end with 0."""
        done = self._run(words, env)
        assert done["code"] == 0, f"{' '.join(words)} ended with {done['code']}\n{done['err']}"
        return json.loads(done["out"])

    def fails(self, code: int, *words: str, **env: str) -> dict[str, Any]:
        """The error that a command prints, which must end with `code`."""
        done = self._run(words, env)
        assert done["code"] == code, f"{' '.join(words)} ended with {done['code']}\n{done['err']}"
        error: dict[str, Any] = json.loads(done["err"].strip().splitlines()[-1])["error"]
        assert error["exit_code"] == code
        return error

    def close(self) -> None:
        """Ends the driver."""
        with self._process as process:
            assert process.stdin
            process.stdin.close()

    def _run(self, words: tuple[str, ...], env: dict[str, str]) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"words": words, "env": env}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


def test_the_command_line_does_every_call(
    cartouche: Stack,
    dataset: str,
    long_list: LongList,
    away: str,
    install: Install,
    table: Table,
    tmp_path: Path,
) -> None:
    calls = (
        "create", "create + wait", "list", "pages", "get", "by id", "wait", "download", "delete",
        "bulk delete", "errors", "odd names",
    )  # fmt: skip
    with table.row(f"CLI {VERSION}", *calls) as row:
        env = {
            "PICTOGRAPH_BASE_URL": cartouche.base_url,
            "PICTOGRAPH_API_KEY": cartouche.key("owner", ORGANIZATION),
            "PICTOGRAPH_MAX_RETRIES": "0",
            "PICTOGRAPH_OUTPUT": "json",
            # It reads a file there.
            "HOME": str(tmp_path),
        }
        environment = environments.cli(VERSION)
        cli = Cli(install(environment, "python"), tmp_path, env)
        try:
            _create(row, cli, dataset)
            _read(row, cli, dataset, tmp_path, long_list)
            _refuse(row, cli, dataset, cartouche.key("viewer", ORGANIZATION), away)
            _delete(row, cli, dataset)
        finally:
            cli.close()
        with row.cell("list"):
            program = install(environment, "pictograph")
            done = run_client([program, "exports", "list", "-n", "1", "--json"], tmp_path, env)
            assert done.returncode == 0, done.stderr
            assert len(json.loads(done.stdout)) == 1


def _create(row: Row, cli: Cli, dataset: str) -> None:
    create = ("exports", "create", dataset, "--poll-interval", "0.1")
    with row.cell("create"):
        first = cli(*create, "--name", "first", "--no-wait", "--class-filter", "car")
        assert first["class_filter"] == ["car"]
    with row.cell("create + wait"):
        second = cli(*create, "--name", "second", "--include-images", "--format", "coco")
        assert second["status"] == "completed"
        assert (second["image_count"], second["annotation_count"]) == (IMAGES, ANNOTATIONS)
        split = cli(*create, "--name", "split", "--organize-by-split")
        assert split["status"] == "completed"
    with row.cell("wait"):
        third = cli(*create, "--name", "third", "--status-filter", "complete")
        assert third["image_count"] == COMPLETE
    with row.cell("odd names"):
        assert cli(*create, "--name", ODD_NAME)["name"] == ODD_NAME
        assert cli("exports", "get", dataset, ODD_NAME)["name"] == ODD_NAME
        assert cli("exports", "delete", dataset, ODD_NAME, "--yes")["deleted"] is True


def _read(row: Row, cli: Cli, dataset: str, folder: Path, long_list: LongList) -> None:
    with row.cell("list"):
        listed = cli("exports", "list", "--dataset", dataset, "--json")
        assert {export["name"] for export in listed} >= {"first", "second", "split", "third"}
        failed = cli("exports", "list", "--dataset", PAGES, "--status", "failed", "--json")
        assert [export["error_message"] for export in failed] == [WHY_BROKEN]
    with row.cell("pages"):
        listed = cli("exports", "list", "--dataset", PAGES, "-n", "2000", "--json")
        expected = long_list.names("pictograph", "dota")
        assert [export["name"] for export in listed] == expected
    with row.cell("get"):
        second = cli("exports", "get", dataset, "second")
        assert second["file_size"] > 0
    with row.cell("by id"):
        assert cli("exports", "get-by-id", second["id"]) == second
        cli("exports", "download-by-id", second["id"], "-o", "by-id.zip")
        check_archive(folder / "by-id.zip", IMAGES, ANNOTATIONS, with_images=True)
    with row.cell("download"):
        saved = cli("exports", "download", dataset, "second", "-o", "second.zip")
        assert saved["bytes"] == second["file_size"]
        check_archive(folder / "second.zip", IMAGES, ANNOTATIONS, with_images=True)
        made = cli("datasets", "export", dataset, "-o", "made")
        assert made["export"] == f"{dataset}-coco"
        check_archive(folder / made["output"], IMAGES, ANNOTATIONS)
        # Its second run asks for the same name.
        assert cli.fails(5, "datasets", "export", dataset, "-o", "made")["code"] == "conflict"


def _refuse(row: Row, cli: Cli, dataset: str, viewer: str, away: str) -> None:
    create = ("exports", "create", dataset, "--no-wait", "--name")
    with row.cell("errors"):
        wrong = cli.fails(2, "exports", "list", PICTOGRAPH_API_KEY="pk_live_wrong")
        assert (wrong["status"], wrong["code"]) == (401, "invalid_api_key")
        forbidden = cli.fails(3, *create, "forbidden", PICTOGRAPH_API_KEY=viewer)
        assert (forbidden["status"], forbidden["code"]) == (403, "forbidden")
        missing = cli.fails(4, "exports", "get", dataset, "nowhere")
        assert (missing["status"], missing["code"]) == (404, "not_found")
        assert "No export" in missing["message"]
        assert missing["request_id"]
        assert cli.fails(4, "exports", "get-by-id", UNKNOWN_ID)["status"] == 404
        taken = cli.fails(5, *create, "first")
        assert (taken["status"], taken["code"]) == (409, "conflict")
        bogus = cli.fails(6, *create, "wrong", "--format", "bogus")
        assert (bogus["status"], bogus["code"]) == (422, "validation_error")
        assert "bogus" in bogus["message"]
        absent = cli.fails(9, "exports", "list", PICTOGRAPH_BASE_URL=away)
        assert (absent["status"], absent["code"]) == (503, "unavailable")


def _delete(row: Row, cli: Cli, dataset: str) -> None:
    with row.cell("delete"):
        cli("exports", "delete", dataset, "first", "--yes")
        cli.fails(4, "exports", "delete", dataset, "first", "--yes")
    with row.cell("bulk delete"):
        second = cli("exports", "get", dataset, "second")["id"]
        deleted = cli("exports", "bulk-delete", second, UNKNOWN_ID, "--yes")
        assert deleted["succeeded"] == [second]
        assert deleted["not_found"] == [UNKNOWN_ID]
