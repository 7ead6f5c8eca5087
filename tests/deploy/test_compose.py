"""deploy/compose.yaml says what the code reads, in an order that can work."""

import json
from pathlib import Path
from typing import Any

import yaml

from services.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("gateway", "server", "worker", "setup", "demo")


def test_every_setting_is_one() -> None:
    known = {f"CARTOUCHE_{name.upper()}" for name in Settings.model_fields}
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= known, name


def test_parts_wait_until_what_they_need_is_healthy() -> None:
    healthy = "service_healthy"
    assert {n: c["condition"] for n, c in SERVICES["setup"]["depends_on"].items()} == {
        "postgres": healthy,
        "s3": healthy,
    }
    for name in ("server", "worker"):
        waits = SERVICES[name]["depends_on"]
        assert waits["setup"] == {"condition": "service_completed_successfully"}
        for broker in ("rabbitmq", "redis"):
            # Only one of them runs.
            assert waits[broker] == {"condition": healthy, "required": False}
    for name, service in SERVICES.items():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == healthy and other not in OURS:
                assert "healthcheck" in SERVICES[other], (name, other)


def test_nothing_listens_but_on_this_machine() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name


def test_our_parts_write_nothing_and_can_nothing() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["tmpfs"] == ["/tmp"]


def test_the_keys_are_those_of_the_store() -> None:
    identities = json.loads((DEPLOY / "compose" / "s3.json").read_text())["identities"]
    keys = {i["credentials"][0]["accessKey"]: i["credentials"][0]["secretKey"] for i in identities}
    env = SERVICES["server"]["environment"]
    assert keys[env["CARTOUCHE_S3_ACCESS_KEY"]] == env["CARTOUCHE_S3_SECRET_KEY"]
    assert keys[env["CARTOUCHE_S3_SIGNING_ACCESS_KEY"]] == env["CARTOUCHE_S3_SIGNING_SECRET_KEY"]
    # The key that every link shows reads archives, and nothing else.
    (links,) = [i for i in identities if i["name"] == "links"]
    assert links["actions"] == ["Read:cartouche-exports"]


def test_the_files_it_mounts_are_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), source
