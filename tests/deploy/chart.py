"""The Helm chart, rendered."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.needs import need_tool

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "cartouche"
VALUES = Path(__file__).parent / "values"
NAMESPACE = "exports-prod"
RELEASE = "r"
#: The oldest and the newest Kubernetes for which the chart is judged.
OLDEST, NEWEST = "1.27.0", "1.37.0"

Manifest = dict[str, Any]


class RenderError(Exception):
    """Helm refused; the message is its own."""


def helm(*words: str) -> str:
    """What `helm WORDS` prints.

    Raises:
        RenderError: it failed.
    """
    done = subprocess.run(
        [need_tool("helm"), *words], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RenderError(done.stdout + done.stderr)
    return done.stdout


@cache
def rendered(values: str = "minimal", *given: str, version: str = NEWEST) -> tuple[Manifest, ...]:
    """The chart's objects with a file of values, and with settings `--set` on top.

    Raises:
        RenderError: Helm refuses these values.
    """
    sets = [word for each in given for word in ("--set", each)]
    text = helm(
        *("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", version),
        *("--values", str(VALUES / f"{values}.yaml"), *sets),
    )
    return tuple(found for found in yaml.safe_load_all(text) if found)


def of_kind(objects: tuple[Manifest, ...], kind: str) -> dict[str, Manifest]:
    """The objects of a kind by name."""
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def pods(objects: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """Every pod that these objects make, by kind and name: metadata and spec."""
    found = {}
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            found[f"{each['kind']}/{each['metadata']['name']}"] = each["spec"]["template"]
        elif each["kind"] == "Pod":
            found[f"Pod/{each['metadata']['name']}"] = each
    return found
