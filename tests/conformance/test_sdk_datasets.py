"""The list of datasets, which no page documents, as the official SDK reads it."""

from pathlib import Path

import pytest

from tests.conformance import environments
from tests.conformance.conftest import Install, output_of, run_client
from tests.conformance.material import IMAGES, make_dataset
from tests.datasets import unique
from tests.stack import Stack

pytestmark = pytest.mark.timeout(300)

DRIVER = Path(__file__).parent / "drivers" / "sdk_datasets.py"
#: Some of every generation.
VERSIONS = ("0.1.6", "0.1.11", "1.0.0", "1.29.0", "1.61.0", "1.69.146")


@pytest.mark.parametrize("version", VERSIONS)
def test_datasets_are_listed_and_read(
    version: str, cartouche: Stack, install: Install, tmp_path: Path
) -> None:
    organization = unique("sdk")
    names = [f"{letter} dataset" for letter in "ab"]
    for name in names:
        make_dataset(cartouche, name, organization)
    python = install(environments.sdk(version), "python")
    key = cartouche.key("viewer", organization)
    done = run_client([python, str(DRIVER), cartouche.base_url, key], tmp_path)
    rows = [[name, IMAGES, 2] for name in names]
    found = output_of(done)
    assert found["list"] == rows
    # The pager came with 1.0.0.
    assert found.get("iter", rows) == rows
    assert found["get"] == rows[:1]
