"""A short run of every target from a fixed seed, and that a finding is one."""

import random
from pathlib import Path

import pytest

from tests.fuzz import importers, run
from tests.fuzz.chance import chance, changed


@pytest.mark.parametrize(
    ("target", "count"), [("archives", 1_500), ("importers", 300), ("pictures", 3_000)]
)
def test_a_short_run_finds_nothing(target: str, count: int) -> None:
    outcome = run.run(target, 1, range(count))
    assert not outcome.findings, "\n".join(finding.text for finding in outcome.findings)
    assert outcome.memory < 2**30


def test_a_seed_gives_its_cases_again() -> None:
    first, again, other = (importers.fuzz(chance(seed, 7)) for seed in (1, 1, 2))
    assert first == again != other


def test_every_case_is_changed_or_nearly() -> None:
    data = random.Random(1).randbytes(500)
    assert sum(changed(data, chance(1, number)) != data for number in range(200)) > 190


def test_an_image_that_nobody_speaks_of_is_a_finding(tmp_path: Path) -> None:
    source = importers.datasets()[0]
    for name, data in source.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    images = [name for name in source.files if name.endswith(".jpg")]
    importers.look(tmp_path, source.format, images)
    with pytest.raises(AssertionError):
        importers.look(tmp_path, source.format, [*images, "never told of.jpg"])


@pytest.mark.parametrize(
    ("fault", "said"),
    [("raises", "KeyError: 'planted'"), ("hangs", "TookTooLong"), ("grows", "MemoryError")],
)
def test_what_a_case_must_not_do_is_a_finding(fault: str, said: str) -> None:
    (finding,) = run.run(f"planted {fault}", 1, [0], seconds=2).findings
    assert said in finding.text
