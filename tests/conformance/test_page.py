"""The documentation page's own examples, verbatim, in five languages."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance import environments
from tests.conformance.conftest import Install, output_of, run_client
from tests.conformance.material import (
    ANNOTATIONS,
    IMAGES,
    ORGANIZATION,
    check_archive,
    make_dataset,
)
from tests.conformance.page import (
    LANGUAGES,
    PAGE,
    SECTIONS,
    Values,
    go_program,
    javascript_program,
    python_program,
    read_snippets,
    sdk_program,
)
from tests.conformance.table import Row, Table
from tests.needs import need_tool
from tests.stack import Stack

#: A busy machine takes longer than most tests may.
pytestmark = pytest.mark.timeout(300)

#: What the page shows in its answers, always.
KEYS = {
    "create": {"id", "name", "status", "created_at"},
    "list": {
        "id", "name", "dataset_name", "status", "image_count", "annotation_count", "file_size",
        "created_at", "completed_at",
    },
    "get": {
        "id", "name", "status", "image_count", "annotation_count", "file_size", "include_images",
        "class_filter", "created_at", "completed_at",
    },
    "download": {"download_url", "expires_at", "file_size"},
}  # fmt: skip
PLAIN = "Training-Export-v1"
#: Python's `quote` leaves the slash, JavaScript some marks, Go the rest of the punctuation.
ODD = "Train v1/α?#% +&!(1)*:@$"  # noqa: RUF001 - real people write this

SHOWN = {
    "sdk": {"create": "export", "list": "exports", "get": "export", "download": "path"},
    "javascript": {"create": "exportData", "list": "exports", "get": "exportData"}
    | {"download": "{ download_url }"},
}

#: Runs the page's example of a call with these values; gives what it read.
Run = Callable[[str, Values], Any]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_examples_run_as_they_stand(
    language: str, cartouche: Stack, install: Install, table: Table, tmp_path: Path
) -> None:
    # The SDK of the page cannot address every name, and curl takes no blank in a path.
    names = [PLAIN] if language in ("sdk", "curl") else [PLAIN, ODD]
    calls = ["create", "list", "get", "download", "delete", *(["odd names"] if names[1:] else [])]
    with table.row(f"page, {language}", *calls) as row:
        if not PAGE.exists():
            pytest.skip(f"{PAGE.name} is not beside the project, in {PAGE.parent.name}/")
        snippets = {
            call: snippet
            for (call, of_language), snippet in read_snippets(PAGE.read_text()).items()
            if of_language == language
        }
        run = _runner(language, snippets, install, tmp_path)
        dataset = f"page-{language}"
        make_dataset(cartouche, dataset)
        for name in names:
            values = Values(cartouche.base_url, cartouche.key("owner", ORGANIZATION), dataset, name)
            _run_all(
                row, run, values, cartouche.http("owner", ORGANIZATION), tmp_path, odd=name is ODD
            )


def _run_all(
    row: Row, run: Run, values: Values, http: httpx.Client, folder: Path, *, odd: bool
) -> None:
    def cell(call: str) -> str:
        return "odd names" if odd else call

    with row.cell(cell("create")):
        made = run("create", values)
        assert made["name"] == values.export_name
        assert made.keys() >= KEYS["create"]
    one = f"/api/v1/developer/exports/{made['id']}"
    deadline = time.monotonic() + 30
    while http.get(one).json()["status"] in ("pending", "processing"):
        assert time.monotonic() < deadline, "the export did not end"
        time.sleep(0.1)
    with row.cell(cell("list")):
        (listed,) = [export for export in run("list", values) if export["id"] == made["id"]]
        assert listed.keys() >= KEYS["list"]
        assert listed["status"] == "completed"
    with row.cell(cell("get")):
        found = run("get", values)
        assert found.keys() >= KEYS["get"]
        assert (found["id"], found["status"]) == (made["id"], "completed")
        assert (found["image_count"], found["annotation_count"]) == (IMAGES, ANNOTATIONS)
        assert found["completed_at"].endswith("Z")
    with row.cell(cell("download")):
        answer = run("download", values)
        if isinstance(answer, str):
            archive = folder / answer
        else:
            archive = folder / "archive.zip"
            link = httpx.get(answer["download_url"], trust_env=False)
            assert link.status_code == 200
            archive.write_bytes(link.content)
        assert archive.stat().st_size == found["file_size"]
        check_archive(archive, IMAGES, ANNOTATIONS)
    with row.cell(cell("delete")):
        run("delete", values)
        assert http.get(one).status_code == 404


def _runner(language: str, snippets: dict[str, str], install: Install, folder: Path) -> Run:
    """Runs the snippets of a language; skips the test where the machine cannot."""
    if language == "sdk":
        python = install(environments.sdk("0.1.11"), "python")
        return lambda call, values: output_of(
            run_client(
                [python, "-c", sdk_program(snippets[call], values, _shown("sdk", call, "None"))],
                folder,
            )
        )
    if language == "requests":
        python = install(environments.REQUESTS, "python")
        show = "{'status': response.status_code, 'body': response.json()}"
        return lambda call, values: _body(
            call,
            output_of(
                run_client([python, "-c", python_program(snippets[call], values, show)], folder)
            ),
        )
    if language == "curl":
        need_tool("curl")
        return lambda call, values: output_of(
            run_client(["bash", "-c", values.fill(snippets[call])], folder)
        )
    if language == "javascript":
        node = _need("node")
        return lambda call, values: output_of(
            run_client(
                [
                    node,
                    "--input-type=module",
                    "--eval",
                    javascript_program(snippets[call], values, _shown("javascript", call, "null")),
                ],
                folder,
            )
        )
    go = _need("go")
    built: dict[str, Path] = {}

    def run(call: str, values: Values) -> Any:
        if values.export_name not in built:
            built[values.export_name] = _build(go, snippets, values, folder / f"{len(built)}")
        return _body(call, output_of(run_client([str(built[values.export_name]), call], folder)))

    return run


def _shown(language: str, call: str, nothing: str) -> str:
    return SHOWN[language].get(call, nothing)


def _body(call: str, answer: dict[str, Any]) -> Any:
    assert answer["status"] == (201 if call == "create" else 200), answer
    return answer["body"]


def _need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def _build(go: str, snippets: dict[str, str], values: Values, binary: Path) -> Path:
    """The page's Go examples as one program."""
    assert set(snippets) == set(SECTIONS)
    source = binary.with_suffix(".go")
    source.write_text(go_program(snippets, values))
    done = subprocess.run(
        [go, "build", "-o", str(binary), str(source)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return binary
