"""The OpenAPI document holds: schemathesis tries every operation, with every check."""

from pathlib import Path

import pytest

from services.formats.registry import FORMATS
from tests.conformance.conftest import Install, run_client
from tests.conformance.environments import SCHEMATHESIS
from tests.conformance.material import make_dataset
from tests.conformance.table import Table
from tests.stack import Stack

#: A busy machine takes longer than most tests may.
pytestmark = pytest.mark.timeout(300)

#: Requests that schemathesis makes up delete what they find.
ORGANIZATION = "openapi"
EXAMPLES = 10


def test_schemathesis_finds_nothing(
    cartouche: Stack, install: Install, table: Table, tmp_path: Path
) -> None:
    with table.row("schemathesis", "other") as row:
        program = install(SCHEMATHESIS, "schemathesis")
        # The document's own example names this dataset.
        make_dataset(cartouche, "street-scenes", ORGANIZATION)
        done = run_client(
            [
                program,
                "--no-color",
                "run",
                f"{cartouche.base_url}/openapi.json",
                "--header",
                f"X-API-Key: {cartouche.key('owner', ORGANIZATION)}",
                "--checks=all",
                f"--max-examples={EXAMPLES}",
                # A run on a busy machine is a slow one, and no failure.
                "--suppress-health-check=too_slow",
                "--generation-database=none",
            ],
            tmp_path,
            {"SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("openapi_hooks.py"))},
        )
        with row.cell("other"):
            found = [line.strip() for line in done.stdout.splitlines() if "❌ ST" in line]
            assert done.returncode == 0, f"{found}\n{done.stdout}{done.stderr}"
            (cases,) = [line for line in done.stdout.splitlines() if " generated, " in line]
            row.note("other", cases.split(",")[0].strip().replace("generated", "cases"))


def test_the_document_names_the_formats_there_are(cartouche: Stack) -> None:
    document = cartouche.http("viewer").get("/openapi.json").json()
    body = document["paths"]["/api/v1/developer/exports/"]["post"]["requestBody"]
    shape = body["content"]["application/json"]["schema"]["properties"]["format"]
    assert set(shape["enum"]) == set(FORMATS)
