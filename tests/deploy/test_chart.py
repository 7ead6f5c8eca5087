"""What the Helm chart renders: valid, restricted, without secrets, and as its values say."""

import re
from typing import Any

import kubernetes_validate
import pytest
import typer

from services.cli.app import app
from services.settings import Settings
from tests.deploy.chart import (
    CHART,
    NAMESPACE,
    NEWEST,
    OLDEST,
    VALUES,
    RenderError,
    helm,
    of_kind,
    pods,
    rendered,
)

ALL = sorted(path.stem for path in VALUES.glob("*.yaml"))
#: Kinds that are not Kubernetes's own.
FOREIGN = {"ScaledObject", "TriggerAuthentication", "PodMonitor", "HTTPRoute"}


@pytest.mark.parametrize("values", ALL)
def test_helm_lint_finds_nothing(values: str) -> None:
    said = helm("lint", "--strict", str(CHART), "--values", str(VALUES / f"{values}.yaml"))
    assert "0 chart(s) failed" in said


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("values", ALL)
def test_every_object_is_valid(values: str, version: str) -> None:
    for each in rendered(values, version=version):
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", ALL)
def test_every_object_is_named_once_and_in_the_namespace(values: str) -> None:
    objects = rendered(values)
    names = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(set(names)) == len(names)
    assert {o["metadata"]["namespace"] for o in objects} == {NAMESPACE}


@pytest.mark.parametrize("values", ALL)
def test_every_pod_is_restricted(values: str) -> None:
    """The profile `restricted` of the Pod Security Standards, and a file system not written to."""
    for name, pod in pods(rendered(values)).items():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] >= 1000, name
        assert security["seccompProfile"]["type"] == "RuntimeDefault", name
        assert spec["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all("hostPath" not in volume for volume in spec["volumes"]), name
        for container in spec["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("values", ALL)
def test_no_secret_stands_in_an_object(values: str) -> None:
    objects = rendered(values)
    assert not of_kind(objects, "Secret")
    for name, pod in pods(objects).items():
        for container in pod["spec"]["containers"]:
            for variable in container.get("env", ()):
                secret = re.search(r"KEY|SECRET|PASSWORD|_URL$", variable["name"])
                # A file of a mounted secret.
                literal = not variable.get("value", "/etc/").startswith("/etc/")
                assert not (secret and literal), (name, variable)
    for config in of_kind(objects, "ConfigMap").values():
        assert not [n for n in config.get("data", ()) if re.search("_KEY$|_URL$|SECRET", n)]


@pytest.mark.parametrize("values", ALL)
def test_every_setting_is_one(values: str) -> None:
    known = {f"CARTOUCHE_{name.upper()}" for name in Settings.model_fields}
    objects = rendered(values)
    given = {
        v["name"]
        for pod in pods(objects).values()
        for v in pod["spec"]["containers"][0].get("env", ())
    }
    for name, config in of_kind(objects, "ConfigMap").items():
        if "-more" not in name and "-text" not in name:
            given |= set(config["data"])
    assert given
    assert given <= known


def test_commands_exist() -> None:
    commands = set(typer.main.get_group(app).commands)
    for pod in pods(rendered("scaled")).values():
        container = pod["spec"]["containers"][0]
        if "args" in container:
            assert container["args"][0] in commands


def test_every_lasting_pod_has_probes_and_time_to_end() -> None:
    for name, deployment in of_kind(rendered("scaled"), "Deployment").items():
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            ask = container[probe].get("httpGet") or container[probe]["grpc"]
            assert ask["port"] in ports or ask["port"] in ports.values(), name
        pause = (
            container.get("lifecycle", {}).get("preStop", {}).get("exec", {"command": ["", "0"]})
        )
        # Server and gateway end their calls within 10 seconds, a worker gives back within 25.
        assert spec["terminationGracePeriodSeconds"] > int(pause["command"][1]) + 25, name
        assert deployment["spec"]["selector"]["matchLabels"].items() <= (
            deployment["spec"]["template"]["metadata"]["labels"].items()
        )


def test_mistakes_come_in_one_message() -> None:
    with pytest.raises(RenderError) as caught:
        rendered("minimal", "image.repository=", "store.endpoint=", "ingress.enabled=true")
    for mistake in ("image.repository", "store.endpoint", "ingress.host"):
        assert f"  - {mistake}: " in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    ["gateway.replica=3", "worker.threads=0", "store.endpoint=s3:9000", "settings.s3_secret_key=x"],
)
def test_wrong_values_are_refused(wrong: str) -> None:
    with pytest.raises(RenderError, match=wrong.split("=")[0].split(".")[-1]):
        rendered("minimal", wrong)


def test_an_autoscaler_owns_the_replicas() -> None:
    fixed = of_kind(rendered("minimal"), "Deployment")
    assert [d["spec"]["replicas"] for d in fixed.values()] == [2, 2, 2]
    objects = rendered("scaled")
    assert not [d for d in of_kind(objects, "Deployment").values() if "replicas" in d["spec"]]
    targets = {
        o["spec"]["scaleTargetRef"]["name"]
        for o in objects
        if o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")
    }
    assert targets == set(of_kind(objects, "Deployment"))


def test_worker_groups_differ() -> None:
    objects = rendered("scaled")
    default, large = (
        of_kind(objects, "Deployment")[f"r-cartouche-worker-{group}"]["spec"]["template"]["spec"]
        for group in ("default", "large")
    )
    variables = [
        {v["name"]: v.get("value") for v in spec["containers"][0]["env"]}
        for spec in (default, large)
    ]
    assert [found["CARTOUCHE_WORKER_THREADS"] for found in variables] == ["4", "2"]
    assert [found["CARTOUCHE_WORKER_LANES"] for found in variables] == ["all", "long"]
    assert large["nodeSelector"] == {"size": "large"}
    assert "nodeSelector" not in default
    scaled = of_kind(objects, "ScaledObject")
    assert [o["spec"]["maxReplicaCount"] for o in scaled.values()] == [40, 4]


def test_every_lane_is_taken_by_a_group() -> None:
    with pytest.raises(RenderError, match="no group takes the lane short"):
        rendered("minimal", "worker.lanes=long")
    assert rendered("minimal", "worker.lanes=long", "workers.quick.lanes=short")
    with pytest.raises(RenderError, match=r"large.lanes"):
        rendered("scaled", "workers.large.lanes=fast")


def test_the_migration_runs_first_on_its_own() -> None:
    objects = rendered("minimal")
    hooks = {
        o["kind"]: int(o["metadata"]["annotations"]["helm.sh/hook-weight"])
        for o in objects
        if "pre-upgrade" in o["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    }
    assert set(hooks) == {"ServiceAccount", "ConfigMap", "NetworkPolicy", "Job"}
    assert max(hooks, key=lambda kind: hooks[kind]) == "Job"
    job = of_kind(objects, "Job")["r-cartouche-migration"]["spec"]["template"]["spec"]
    assert job["serviceAccountName"] == "r-cartouche-migration"
    (container,) = job["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "r-cartouche-migration"}}]


def test_pods_start_anew_when_a_setting_changes() -> None:
    def sums(*given: str) -> set[str]:
        made = of_kind(rendered("minimal", *given), "Deployment").values()
        return {d["spec"]["template"]["metadata"]["annotations"]["checksum/config"] for d in made}

    assert len(sums()) == 1
    assert sums() != sums("settings.verify=full")
    assert sums() == sums("gateway.replicas=5")


def allowed(policy: dict[str, Any]) -> set[int | str]:
    """The ports to which a policy lets pods out."""
    return {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}


def test_the_gateway_reaches_the_server_alone() -> None:
    policies = of_kind(rendered("minimal"), "NetworkPolicy")
    gateway = policies["r-cartouche-gateway"]
    assert allowed(gateway) == {53, 50051, 4317, 4318}
    (to_server,) = [r for r in gateway["spec"]["egress"] if r["ports"] == [{"port": 50051}]]
    (target,) = to_server["to"]
    assert target["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "server"
    worker = policies["r-cartouche-worker-default"]
    assert 50051 not in allowed(worker)
    assert {5432, 5672, 8333} <= allowed(worker)
    assert worker["spec"]["ingress"] == [{"ports": [{"port": "metrics"}]}]
    (to_grpc,) = [
        r
        for r in policies["r-cartouche-server"]["spec"]["ingress"]
        if r["ports"] == [{"port": "grpc"}]
    ]
    callers = [
        f["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for f in to_grpc["from"]
    ]
    assert callers == ["gateway", "test"]


def test_every_pod_has_a_policy() -> None:
    objects = rendered("scaled")
    selected = [
        p["spec"]["podSelector"]["matchLabels"] for p in of_kind(objects, "NetworkPolicy").values()
    ]
    for name, pod in pods(objects).items():
        labels = pod["metadata"]["labels"].items()
        assert sum(selector.items() <= labels for selector in selected) == 1, name


def test_the_server_is_found_pod_by_pod() -> None:
    objects = rendered("minimal")
    service = of_kind(objects, "Service")["r-cartouche-server"]
    assert service["spec"]["clusterIP"] == "None"
    address = of_kind(objects, "ConfigMap")["r-cartouche"]["data"]["CARTOUCHE_SERVER"]
    assert address == f"dns:///r-cartouche-server.{NAMESPACE}.svc.cluster.local:50051"


def test_routes_end_tls_and_have_limits() -> None:
    (ingress,) = of_kind(rendered("scaled"), "Ingress").values()
    assert ingress["spec"]["tls"] == [
        {"hosts": ["exports.example.com"], "secretName": "exports-tls"}
    ]
    (route,) = of_kind(rendered("patched"), "HTTPRoute").values()
    assert route["spec"]["rules"][0]["timeouts"] == {"request": "60s"}
    assert not {"Ingress", "HTTPRoute"} & {o["kind"] for o in rendered("minimal")}


def test_a_role_takes_the_place_of_keys() -> None:
    def variables(values: str) -> set[str]:
        (container,) = of_kind(rendered(values), "Deployment")["r-cartouche-server"]["spec"][
            "template"
        ]["spec"]["containers"]
        return {variable["name"] for variable in container["env"]}

    keys = {"CARTOUCHE_S3_ACCESS_KEY", "CARTOUCHE_S3_SECRET_KEY"}
    signing = {"CARTOUCHE_S3_SIGNING_ACCESS_KEY", "CARTOUCHE_S3_SIGNING_SECRET_KEY"}
    assert keys <= variables("minimal")
    assert not keys & variables("scaled")
    assert signing <= variables("scaled")
    with pytest.raises(RenderError, match="and not both"):
        rendered("minimal", "store.platformCredentials=true")


def test_certificates_are_mounted_where_they_are_used() -> None:
    def mounted(values: str, name: str, *given: str) -> dict[str, tuple[str, str]]:
        """Of each variable that names a file: the secret and the key that hold it."""
        spec = pods(rendered(values, *given))[name]["spec"]
        (container,) = spec["containers"]
        secrets = {v["name"]: v["secret"] for v in spec["volumes"] if "secret" in v}
        found = {}
        for variable in container.get("env", ()):
            path = variable.get("value", "")
            for mount in container["volumeMounts"]:
                if path.startswith(f"{mount['mountPath']}/"):
                    secret = secrets[mount["name"]]
                    (key,) = [i["key"] for i in secret["items"] if path.endswith(f"/{i['path']}")]
                    assert mount["readOnly"]
                    assert "subPath" not in mount
                    found[variable["name"]] = (secret["secretName"], key)
        return found

    server = {
        "CARTOUCHE_GRPC_CERTIFICATE": ("server-tls", "tls.crt"),
        "CARTOUCHE_GRPC_KEY": ("server-tls", "tls.key"),
        "CARTOUCHE_GRPC_CLIENT_CA": ("gateway-tls", "authority.crt"),
    }
    caller = {
        "CARTOUCHE_SERVER_CA": ("server-tls", "authority.crt"),
        "CARTOUCHE_CLIENT_CERTIFICATE": ("gateway-tls", "tls.crt"),
        "CARTOUCHE_CLIENT_KEY": ("gateway-tls", "tls.key"),
    }
    assert mounted("scaled", "Deployment/r-cartouche-server") == server
    assert mounted("scaled", "Deployment/r-cartouche-gateway") == caller
    assert mounted("scaled", "Pod/r-cartouche-test") == caller
    assert mounted("scaled", "Deployment/r-cartouche-worker-default") == {}
    # One side alone.
    one = ("minimal", "Deployment/r-cartouche-server", "tls.existingSecret=server")
    assert set(mounted(*one)) == {"CARTOUCHE_GRPC_CERTIFICATE", "CARTOUCHE_GRPC_KEY"}
    assert mounted(*one[:2]) == {}
    with pytest.raises(RenderError, match=r"tls\.existingSecret"):
        rendered("minimal", "tls.client.existingSecret=gateway")


def test_a_server_with_tls_is_asked_on_its_other_port() -> None:
    """A kubelet cannot ask it over gRPC."""

    def probes(values: str) -> list[str]:
        deployment = of_kind(rendered(values), "Deployment")["r-cartouche-server"]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        return [
            (container[probe].get("httpGet") or {"path": "grpc"})["path"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe")
        ]

    assert probes("minimal") == ["grpc"] * 3
    assert probes("scaled") == ["/healthz", "/healthz", "/readyz"]


def test_images_on_their_way_in_fit_into_the_volume() -> None:
    def server(*given: str) -> tuple[int, str]:
        spec = pods(rendered("minimal", *given))["Deployment/r-cartouche-server"]["spec"]
        (tmp,) = [v["emptyDir"]["sizeLimit"] for v in spec["volumes"] if v["name"] == "tmp"]
        variables = {v["name"]: v.get("value") for v in spec["containers"][0]["env"]}
        return int(variables["CARTOUCHE_IMPORT_SPACE"]), tmp

    assert server() == (1024 * 2**20, "1152Mi")
    assert server("server.importSpace=5000") == (5000 * 2**20, "5128Mi")


def test_it_can_be_patched() -> None:
    objects = rendered("patched")
    assert {"r-more", "r-text"} <= set(of_kind(objects, "ConfigMap"))
    for deployment in of_kind(objects, "Deployment").values():
        spec = deployment["spec"]["template"]["spec"]
        assert spec["serviceAccountName"] == "existing"
        assert "topologySpreadConstraints" not in spec
        assert {"name": "ca", "mountPath": "/etc/ca", "readOnly": True} in (
            spec["containers"][0]["volumeMounts"]
        )
    scaled = rendered("scaled")
    assert all(o["metadata"]["labels"]["team"] == "data" for o in scaled)
    gateway = of_kind(scaled, "Deployment")["r-cartouche-gateway"]["spec"]["template"]["metadata"]
    assert (
        gateway["annotations"].items() >= {"part": "gateway", "contact": "data@example.com"}.items()
    )
