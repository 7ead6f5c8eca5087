"""The project's own examples, run as their first lines say."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance import environments, test_training_examples, test_waiting_examples
from tests.conformance.conftest import Install, run_client
from tests.conformance.material import (
    ANNOTATIONS,
    IMAGES,
    ORGANIZATION,
    check_archive,
    make_dataset,
)
from tests.conformance.table import Table
from tests.needs import need_tool
from tests.stack import CARTOUCHE, Stack

#: A busy machine takes longer than most tests may.
pytestmark = pytest.mark.timeout(300)

EXAMPLES = Path(__file__).parents[2] / "examples"
CALLS = ("create + wait", "list", "download", "delete")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@dataclass(frozen=True)
class Example:
    """An example, how to run it, and what it makes."""

    file: str
    archive: str
    #: The export's name in its list.
    name: str
    command: Callable[[Install], list[str]]


def _bash(_: Install) -> list[str]:
    need_tool("curl")
    return ["bash"]


PYTHON = str(CARTOUCHE.parent / "python")
RUN = (
    Example(
        "python_sdk.py",
        "sdk.zip",
        "example with the SDK",
        lambda install: [install(environments.sdk("1.69.146"), "python")],
    ),
    Example(
        "python_requests.py",
        "requests.zip",
        "example with requests",
        lambda install: [install(environments.REQUESTS, "python")],
    ),
    Example("exports.sh", "curl.zip", "example-with-curl", _bash),
    Example("exports.mjs", "fetch.zip", "example with fetch", lambda _: [_program("node")]),
    Example("exports.go", "go.zip", "example with Go", lambda _: [_program("go"), "run"]),
    Example("grpc_client.py", "grpc.zip", "example with gRPC", lambda _: [PYTHON]),
)


def test_every_example_is_run() -> None:
    others = test_training_examples.RUN_HERE | test_waiting_examples.RUN_HERE
    found = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    assert found == {example.file for example in RUN} | others


@pytest.mark.parametrize("example", RUN, ids=lambda example: example.file)
def test_the_example_runs(
    example: Example, cartouche: Stack, install: Install, table: Table, tmp_path: Path
) -> None:
    grpc = ("errors",) if example.file == "grpc_client.py" else ()
    with table.row(f"example, {example.file}", *CALLS, *grpc) as row:
        command = example.command(install)
        # The shell's example takes names without blanks.
        dataset = f"example-{example.archive}"
        make_dataset(cartouche, dataset)
        env = {
            "CARTOUCHE_URL": cartouche.base_url,
            "CARTOUCHE_SERVER": cartouche.grpc_address,
            "CARTOUCHE_API_KEY": cartouche.key("owner", ORGANIZATION),
        }
        done = run_client([*command, str(EXAMPLES / example.file), dataset], tmp_path, env)
        with row.cell("create + wait"):
            assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        with row.cell("list"):
            assert example.name in done.stdout or "1 of 1 exports" in done.stdout
        with row.cell("download"):
            check_archive(tmp_path / example.archive, IMAGES, ANNOTATIONS, with_images=True)
        with row.cell("delete"):
            left = cartouche.http("owner", ORGANIZATION).get(
                "/api/v1/developer/exports/", params={"dataset_name": dataset}
            )
            assert left.json() == []
        if grpc:
            with row.cell("errors"):
                assert "INVALID_ARGUMENT, INVALID_ARGUMENT: {'format': " in done.stdout
                assert "NOT_FOUND, EXPORT_NOT_FOUND: " in done.stdout
