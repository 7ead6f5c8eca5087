"""Runs commands of the official command line, each in a process of its own.

The command line takes two seconds to start: imports, and building its tree of commands. So
that is done once, and every command runs in a fork: `cli.py` reads commands as lines of JSON
(words, and changes to the environment) and answers each with a line: its exit code and what
it printed.
"""

import json
import os
import sys
import tempfile
from typing import Any, NoReturn

import typer.main
from pictograph.cli._app import app, main

tree = typer.main.get_command(app)
typer.main.get_command = lambda typer_instance: tree


def child(command: dict[str, Any], out: int, err: int) -> NoReturn:
    """Becomes the command."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.update(command["env"])
    sys.argv = ["pictograph", *command["words"]]
    code: Any = 1
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


for line in sys.stdin:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            child(json.loads(line), out.fileno(), err.fileno())
        status = os.waitpid(pid, 0)[1]
        code = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read())
    print(json.dumps({"code": code, "out": texts[0], "err": texts[1]}), flush=True)
