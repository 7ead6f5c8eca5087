"""The running Cartouche that clients meet, and the table they fill."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.environments import Environment, NotInstalled
from tests.conformance.material import LongList, make_dataset, make_long_list
from tests.conformance.table import Table
from tests.processes import free_port
from tests.stack import CartoucheProcess, Embedded, Stack

_WIDTH = 150
_table = pytest.StashKey[Table]()

#: Gives the path of an environment's program, or ends the test.
Install = Callable[[Environment, str], str]


def pytest_configure(config: pytest.Config) -> None:
    """One table for the whole run."""
    config.stash[_table] = Table()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the table under the results."""
    table = terminalreporter.config.stash.get(_table, None)
    if table and table.rows:
        terminalreporter.write("\n" + table.render(_WIDTH))


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """The table of clients and calls."""
    return request.config.stash[_table]


@pytest.fixture(scope="session")
def install() -> Install:
    """Installs a client, where it is not yet in the cache."""

    def program(environment: Environment, name: str = "python") -> str:
        try:
            return str(environment.program(name))
        except NotInstalled as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{environment.name}: {error}", pytrace=False)
            pytest.skip(f"{environment.name}: {error}")

    return program


@pytest.fixture(scope="session")
def cartouche(embedded: Embedded) -> Stack:
    """The Cartouche that clients meet."""
    return embedded


@pytest.fixture(scope="session")
def long_list(cartouche: Stack) -> LongList:
    """More exports than one page can hold."""
    return make_long_list(cartouche)


@pytest.fixture
def dataset(cartouche: Stack, request: pytest.FixtureRequest) -> str:
    """A dataset for one test alone. Its name has blanks, as people's have."""
    name = f"scenes of {request.node.name}"[:100]
    make_dataset(cartouche, name)
    return name


@pytest.fixture(scope="session")
def away(cartouche: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a gateway whose server is not there: it answers 503."""
    port = free_port()
    env = cartouche.env | {
        "CARTOUCHE_HTTP_PORT": str(port),
        "CARTOUCHE_SERVER": f"127.0.0.1:{free_port()}",
    }
    folder = tmp_path_factory.mktemp("away")
    gateway = CartoucheProcess("gateway-alone", ["gateway"], folder, env)
    gateway.start()
    try:
        gateway.wait_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        gateway.stop()


def client_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a client: no proxy before the loopback addresses, and nobody's
    settings of the official SDK."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PICTOGRAPH_")}
    return inherited | {"NO_PROXY": "127.0.0.1"} | dict(env)


def run_client(
    command: list[str], folder: Path, env: Mapping[str, str] | None = None, timeout: float = 250
) -> subprocess.CompletedProcess[str]:
    """Runs a client to its end."""
    return subprocess.run(
        command,
        cwd=folder,
        env=client_environment(env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output_of(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a client printed last.

    Raises:
        AssertionError: it failed, or printed something else; the message has its output.
    """
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])
