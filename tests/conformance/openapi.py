"""schemathesis, which makes requests up from an OpenAPI document, each and in sequences."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.conftest import run_client
from tests.stack import Stack

#: Of one run, on a busy machine.
_MOST_SECONDS = 1_200
_HOOKS = Path(__file__).with_name("openapi_hooks.py")
_CONFIG = Path(__file__).with_name("openapi.toml")


@dataclass(frozen=True)
class Findings:
    """How a run ended: the requests it made, what it found, and all that it said."""

    cases: int
    found: list[str]
    said: str


def examine(
    program: str, stack: Stack, key: str, examples: int, folder: Path, *options: str
) -> Findings:
    """Tries every operation of the gateway's own document with every check: examples, corner
    cases, random values, and sequences in which one answer feeds the next request."""
    done = run_client(
        [
            program,
            "--no-color",
            f"--config-file={_CONFIG}",
            "run",
            f"{stack.base_url}/openapi.json",
            "--header",
            f"X-API-Key: {key}",
            "--checks=all",
            f"--max-examples={examples}",
            # A run on a busy machine is a slow one, and no failure.
            "--suppress-health-check=too_slow",
            "--generation-database=none",
            *options,
        ],
        folder,
        {"SCHEMATHESIS_HOOKS": str(_HOOKS)},
        timeout=_MOST_SECONDS,
    )
    cases = re.search(r"([\d,]+) generated, ", done.stdout)
    found = [line.strip() for line in done.stdout.splitlines() if "❌ " in line]
    if done.returncode and not found:
        found = [f"it ended with {done.returncode}"]
    made = int(cases[1].replace(",", "")) if cases else 0
    return Findings(made, found, done.stdout + done.stderr)
