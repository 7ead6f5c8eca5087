"""The OpenAPI document holds: schemathesis tries every operation, with every check."""

from pathlib import Path

import pytest

from services.formats.registry import FORMATS
from tests.conformance.conftest import Install
from tests.conformance.environments import SCHEMATHESIS
from tests.conformance.material import make_dataset
from tests.conformance.openapi import examine
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
        key = cartouche.key("owner", ORGANIZATION)
        run = examine(program, cartouche, key, EXAMPLES, tmp_path)
        with row.cell("other"):
            assert not run.found, f"{run.found}\n{run.said}"
            assert run.cases
            row.note("other", f"{run.cases} cases")


def test_the_document_names_the_formats_there_are(cartouche: Stack) -> None:
    document = cartouche.http("viewer").get("/openapi.json").json()
    body = document["paths"]["/api/v1/developer/exports/"]["post"]["requestBody"]
    shape = body["content"]["application/json"]["schema"]["properties"]["format"]
    assert set(shape["enum"]) == set(FORMATS)
