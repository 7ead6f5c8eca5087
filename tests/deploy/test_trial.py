"""What is for a first look fits together: the services, the values, the secrets."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import CHART, NEWEST, OLDEST, helm

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
SERVICES = list(yaml.safe_load_all((KUBERNETES / "trial-services.yaml").read_text()))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_services_are_valid(version: str) -> None:
    for each in SERVICES:
        kubernetes_validate.validate(each, version, strict=True)


def test_the_services_are_restricted() -> None:
    for each in SERVICES:
        if each["kind"] == "Deployment":
            spec = each["spec"]["template"]["spec"]
            assert spec["securityContext"]["runAsNonRoot"]
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in spec["containers"]:
                own = container["securityContext"]
                assert own == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_the_values_name_secrets_and_services_that_are_there() -> None:
    values = KUBERNETES / "trial-values.yaml"
    text = helm(
        *("template", "cartouche", str(CHART), "--kube-version", NEWEST),
        *("--values", str(values), "--set", "image.repository=cartouche"),
    )
    secrets = {o["metadata"]["name"]: o["stringData"] for o in SERVICES if o["kind"] == "Secret"}
    services = {o["metadata"]["name"]: o["spec"] for o in SERVICES if o["kind"] == "Service"}
    found = list(references(list(yaml.safe_load_all(text))))
    assert len(found) >= 6
    for reference in found:
        assert reference["key"] in secrets[reference["name"]]
    addresses = [
        *secrets["trial"].values(),
        yaml.safe_load(values.read_text())["store"]["endpoint"],
    ]
    named = re.findall(r"(trial-\w+):(\d+)", " ".join(addresses))
    assert {name for name, _ in named} == set(services)
    for name, port in named:
        assert services[name]["ports"] == [{"port": int(port)}]


def references(value: Any) -> Any:
    """Every secretKeyRef below a value."""
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)
