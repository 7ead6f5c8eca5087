"""A running Cartouche with the oracles' datasets, and their table."""

from collections.abc import Iterator

import pytest

from tests.oracles.archives import PART_SIZE, Dataset, put_material
from tests.oracles.material import SHARED, long, made, real
from tests.oracles.table import Table
from tests.stack import Embedded

_WIDTH = 160
_table = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    """One table for the whole run."""
    config.stash[_table] = Table()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows the table under the results."""
    if table := terminalreporter.config.stash.get(_table, None):
        terminalreporter.write("\n" + table.text(_WIDTH))


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """The table of formats and readers."""
    return request.config.stash[_table]


@pytest.fixture(scope="session")
def datasets() -> Iterator[dict[str, Dataset]]:
    """The datasets by name; `real` is only there where the real data is."""
    settings = {"CARTOUCHE_PART_SIZE": str(PART_SIZE)}
    with Embedded("oracles", settings) as stack:
        found = [made(), long(), *([real()] if SHARED.is_dir() else [])]
        yield {material.name: put_material(stack, material) for material in found}
