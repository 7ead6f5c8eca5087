"""The short form of `make fuzz-ports`: the same attacks, always the same cases."""

import pytest

from tests.fuzz.ports import run
from tests.stack import Stack

COUNT = 30
SEED = "short"


@pytest.mark.timeout(300)
def test_no_case_breaks_anything(stack: Stack) -> None:
    lines = list(run(stack, COUNT, SEED))
    assert len(lines) > 30
