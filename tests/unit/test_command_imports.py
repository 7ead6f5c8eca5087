"""The `cartouche` command loads what a command runs only when it runs, which the import
contracts cannot see: help answers at once, and each process holds its own part alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer

from services.cli.app import app

#: What makes a start slow, or belongs to another process.
KEPT_AWAY = {
    "PIL", "alembic", "dramatiq", "gateway", "grpc", "minio", "numpy", "obstore", "pycocotools",
    "sqlalchemy", "workers",
}  # fmt: skip

#: Runs `cartouche` with each list of words from standard input, and prints what was loaded then.
LOADED = """
import json, sys
from services.cli import main
loaded = {}
for words in json.load(sys.stdin):
    sys.argv = ["cartouche", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
    loaded[" ".join(words)] = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(loaded), file=sys.stderr)
"""


def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    """The words of a group, and of every command in it."""
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *words, name)


def test_help_loads_nothing_that_a_command_runs() -> None:
    asked = [[*words, "--help"] for words in commands(typer.main.get_group(app))]
    assert ["keys", "create", "--help"] in asked
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        input=json.dumps([*asked, ["--version"]]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stderr)
    assert len(loaded) == len(asked) + 1
    heavy = {words: sorted(KEPT_AWAY.intersection(names)) for words, names in loaded.items()}
    assert heavy == {words: [] for words in loaded}
