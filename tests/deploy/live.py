"""`make deploy-live`: a real Kubernetes API server takes the chart.

In a network namespace without uplink: the profile `restricted` of Pod Security admits every pod, a
release rolls out, is upgraded after its migration and never before, is drained and rolled back.
kwok plays the nodes; what pods do is shown by `make deploy-pods`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests import binaries
from tests.deploy import control_plane
from tests.deploy.chart import CHART, VALUES, of_kind, rendered
from tests.deploy.control_plane import ADDRESS, ClusterError, ControlPlane, Watch, revision
from tests.needs import need_tool

ROOT = Path(__file__).parents[2]
TRIAL = ROOT / "deploy" / "kubernetes" / "trial-services.yaml"
NAMESPACE, RELEASE = "exports-prod", "r"
GATEWAY, SERVER = "r-cartouche-gateway", "r-cartouche-server"
#: Says that this process is in a namespace of its own already.
_INSIDE = "CARTOUCHE_TEST_INSIDE"
#: Kinds of others that the chart may make: taken as they are, and judged by nobody here.
_FOREIGN = {
    "scaledobjects.keda.sh": ("ScaledObject", "v1alpha1"),
    "triggerauthentications.keda.sh": ("TriggerAuthentication", "v1alpha1"),
    "podmonitors.monitoring.coreos.com": ("PodMonitor", "v1"),
}

Manifest = dict[str, Any]


def main() -> None:
    """Shows all of it, and prints a line for each thing that was shown."""
    if os.environ.get(_INSIDE) != "1":
        _go_inside()
    began_at = time.monotonic()
    with ControlPlane() as cluster:
        _say("the API server answers, and four nodes are ready", began_at)
        _prepare(cluster)
        _install(cluster)
        _admission_judges(cluster)
        _upgrade(cluster)
        _failed_migration(cluster)
        _drain(cluster)
        _roll_back(cluster)
        _trial(cluster)
    _say("done", began_at)


def _go_inside() -> None:
    """Begins again in a network namespace that has nothing but this machine itself.

    Raises:
        ClusterError: that needs root, or something is missing.
    """
    if not binaries.is_root():
        raise SystemExit("deploy-live needs root, for a network namespace of its own")
    control_plane.ensure()
    need_tool("helm")
    script = f'ip link set lo up && ip address add {ADDRESS}/32 dev lo && exec "$@"'
    words = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-m", __spec__.name]
    os.execvpe("unshare", words, os.environ | {_INSIDE: "1"})


def _prepare(cluster: ControlPlane) -> None:
    for name in (NAMESPACE, "trial"):
        pod_security = "pod-security.kubernetes.io"
        labels = {
            f"{pod_security}/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
        } | {f"{pod_security}/enforce-version": "latest"}
        namespace = {"kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        _create(cluster, {"apiVersion": "v1", **namespace})
    for name in _secrets_of(rendered("scaled")):
        secret = {"kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
        _create(cluster, {"apiVersion": "v1", **secret})
    for name, (kind, version) in _FOREIGN.items():
        plural, _, group = name.partition(".")
        _create(cluster, _definition(name, plural, group, kind, version))


def _admission_judges(cluster: ControlPlane) -> None:
    """It does: a pod that is not restricted is refused."""
    (test,) = of_kind(rendered("scaled"), "Pod").values()
    wrong = json.loads(json.dumps(test))
    del wrong["spec"]["containers"][0]["securityContext"]["capabilities"]
    dry = ("create", "--dry-run=server", "--filename", "-")
    said = cluster.kubectl(*dry, given=wrong, check=False)
    _require('violates PodSecurity "restricted:latest"' in said, said)
    # `helm test` itself is made by nobody here.
    said = cluster.kubectl(*dry, given=test)
    _require("created" in said, said)
    _say("admission refuses a pod with capabilities, and takes that of helm test")


def _install(cluster: ControlPlane) -> None:
    watches = _watched(cluster)
    _helm(cluster, "install", RELEASE, str(CHART), *_values())
    jobs, deployments, pods = (watch.events() for watch in watches)
    migrated = _migrated(jobs)
    made = {revision(e["object"]) for e in deployments if e["type"] == "ADDED"}
    _require(min(made) > migrated, f"{min(made)} is before {migrated}")
    started = {e["object"]["metadata"]["name"] for e in pods if e["type"] == "ADDED"}
    _say(
        f"installed: the migration had ended well (revision {migrated}) before the first of "
        f"{len(made)} Deployments was made ({min(made)}); {len(started)} pods admitted"
    )
    until = time.monotonic() + 60
    while [_replicas(cluster, name) for name in (GATEWAY, SERVER)] != [3, 2]:
        _require(time.monotonic() < until, "the autoscalers' least was not reached")
        time.sleep(0.5)
    _no_failures(cluster)
    placed = {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in cluster.objects("pods", NAMESPACE)
    }
    gateways = {node for name, node in placed.items() if name.startswith(GATEWAY)}
    large = {node for name, node in placed.items() if name.startswith("r-cartouche-worker-large")}
    _require((len(gateways), large) == (3, {"large"}), f"{placed}")
    _say("autoscalers own the replicas (3 gateways, 2 servers); gateways on 3 nodes in 3 zones")
    _say("the worker group for large exports is on the node that is kept for it")


def _upgrade(cluster: ControlPlane) -> None:
    # As an autoscaler does it.
    cluster.kubectl(
        *("scale", "deployment", GATEWAY, "--replicas=5", "--namespace", NAMESPACE),
    )
    _rolled_out(cluster, GATEWAY)
    watches = _watched(cluster)
    _helm(cluster, "upgrade", RELEASE, str(CHART), *_values("next"))
    jobs, deployments, _ = (watch.events() for watch in watches)
    migrated, changed = _migrated(jobs), _changed(deployments, "next")
    _require(changed > migrated, f"{changed} is before {migrated}")
    for name, replicas in ((GATEWAY, 5), (SERVER, 2)):
        _require(_replicas(cluster, name) == replicas, f"{name} has not {replicas} replicas")
        least = _least_available(deployments, name)
        _require(least >= replicas, f"{name} had {least} of {replicas}")
    _no_failures(cluster)
    _say(
        f"upgraded: the migration ended (revision {migrated}) before any Deployment changed "
        f"({changed}); 5 gateways stayed 5, and no gateway or server was missing meanwhile"
    )


def _failed_migration(cluster: ControlPlane) -> None:
    before = _generations(cluster)
    fails = r"migration.podAnnotations.cartouche\.test/fails=yes"
    words = ("--set-string", fails, "--set", "migration.backoffLimit=0")
    said = _helm(cluster, "upgrade", RELEASE, str(CHART), *_values("broken"), *words, is_well=False)
    _require("pre-upgrade hooks failed" in said, said)
    _require(_generations(cluster) == before, "a Deployment changed without its migration")
    jobs = [job["metadata"]["name"] for job in cluster.objects("jobs", NAMESPACE)]
    _require(jobs == ["r-cartouche-migration"], f"the failed Job is not there: {jobs}")
    watches = _watched(cluster)
    _helm(cluster, "upgrade", RELEASE, str(CHART), *_values("mended"))
    job_events, deployments, _ = (watch.events() for watch in watches)
    _require(_changed(deployments, "mended") > _migrated(job_events), "changed too early")
    _say("a migration that fails ends the upgrade, its Job stays, and no Deployment changes; the "
         "next upgrade goes on")  # fmt: skip


def _drain(cluster: ControlPlane) -> None:
    watch = cluster.watch("deployments", NAMESPACE)
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
    cluster.kubectl("drain", "node-0", *words)
    _rolled_out(cluster, GATEWAY)
    events = watch.events()
    lost = {name: _least_available(events, name) for name in (GATEWAY, SERVER)}
    _require(lost[GATEWAY] >= 4 and lost[SERVER] >= 1, f"available were only {lost}")
    cluster.kubectl("uncordon", "node-0")
    _say(f"a node was drained; of 5 gateways and 2 servers at least {lost[GATEWAY]} and "
         f"{lost[SERVER]} were available")  # fmt: skip


def _roll_back(cluster: ControlPlane) -> None:
    watches = _watched(cluster)
    _helm(cluster, "rollback", RELEASE, "2")
    jobs, deployments, _ = (watch.events() for watch in watches)
    added = [e for e in jobs if e["type"] == "ADDED" and not _has_ended(e["object"])]
    _require(not added, "a rollback ran a migration")
    _require(_changed(deployments, "next") > 0, "the older image is not back")
    _say("rolled back to the second revision, without a migration")


def _trial(cluster: ControlPlane) -> None:
    """What the README's first look applies, under `restricted` too."""
    objects = list(yaml.safe_load_all(TRIAL.read_text()))
    said = cluster.kubectl("apply", "--namespace", "trial", "--filename", str(TRIAL))
    _require("violate" not in said, said)
    for each in objects:
        if each["kind"] == "Deployment":
            _rolled_out(cluster, each["metadata"]["name"], "trial")
    _no_failures(cluster, "trial")
    _say("the services for a first look roll out under restricted too")


def _values(tag: str = "first") -> list[str]:
    image = f"image.digest=,image.tag={tag}"
    return ["--values", str(VALUES / "scaled.yaml"), "--set", image]


def _helm(cluster: ControlPlane, *words: str, is_well: bool = True) -> str:
    wait = ("--wait", "--timeout", "60s", "--namespace", NAMESPACE)
    done = subprocess.run(
        [need_tool("helm"), "--kubeconfig", str(cluster.kubeconfig), *words, *wait],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    if (done.returncode == 0) != is_well:
        found = cluster.kubectl("get", "pods,jobs,deployments,events", "--namespace", NAMESPACE)
        raise ClusterError(f"{said}\n{found}")
    # What the profile would refuse comes as a warning, too.
    _require("violate" not in said, said)
    return said


def _watched(cluster: ControlPlane) -> tuple[Watch, Watch, Watch]:
    jobs, deployments, pods = (
        cluster.watch(kind, NAMESPACE) for kind in ("jobs", "deployments", "pods")
    )
    # They have seen what there is.
    time.sleep(1)
    return jobs, deployments, pods


def _has_ended(job: Manifest) -> bool:
    return bool(job["status"].get("succeeded") or job["status"].get("failed"))


def _migrated(events: Iterable[Manifest]) -> int:
    """The revision of the end of the last migration that ended well."""
    ended = [e["object"] for e in events if e["object"]["status"].get("succeeded")]
    _require(bool(ended), "no migration ended well")
    newest = ended[-1]["metadata"]["uid"]
    return min(revision(job) for job in ended if job["metadata"]["uid"] == newest)


def _changed(events: Iterable[Manifest], tag: str) -> int:
    """The revision at which the first Deployment got this image."""
    return min(
        revision(e["object"])
        for e in events
        if e["object"]["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{tag}")
    )


def _least_available(events: Iterable[Manifest], name: str) -> int:
    return min(
        int(e["object"]["status"].get("availableReplicas", 0))
        for e in events
        if e["object"]["metadata"]["name"] == name
    )


def _replicas(cluster: ControlPlane, name: str) -> int:
    found = {d["metadata"]["name"]: d for d in cluster.objects("deployments", NAMESPACE)}
    return int(found[name]["status"].get("availableReplicas", 0))


def _generations(cluster: ControlPlane) -> dict[str, int]:
    return {
        d["metadata"]["name"]: d["metadata"]["generation"]
        for d in cluster.objects("deployments", NAMESPACE)
    }


def _rolled_out(cluster: ControlPlane, name: str, namespace: str = NAMESPACE) -> None:
    words = ("rollout", "status", f"deployment/{name}", "--timeout=90s", "--namespace", namespace)
    cluster.kubectl(*words)


def _no_failures(cluster: ControlPlane, namespace: str = NAMESPACE) -> None:
    """No controller was refused a pod."""
    events = cluster.objects("events", namespace)
    refused = [e["message"] for e in events if e["reason"] in ("FailedCreate", "FailedScheduling")]
    _require(not refused, "\n".join(refused))


def _secrets_of(objects: Iterable[Manifest]) -> set[str]:
    """The names of every secret that these objects name."""
    text = yaml.safe_dump_all(list(objects))
    found = yaml.safe_load_all(text)
    names: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "secretKeyRef":
                    names.add(inner["name"])
                elif key == "secretName" and isinstance(inner, str):
                    names.add(inner)
                else:
                    look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    for each in found:
        look(each)
    return names


def _definition(name: str, plural: str, group: str, kind: str, version: str) -> Manifest:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _create(cluster: ControlPlane, found: Manifest) -> None:
    cluster.kubectl("create", "--filename", "-", given=found)


def _require(true: bool, otherwise: str) -> None:
    if not true:
        raise ClusterError(otherwise)


def _say(what: str, began_at: float | None = None) -> None:
    after = "" if began_at is None else f" ({time.monotonic() - began_at:.1f} s)"
    print(f"{what}{after}", flush=True)


if __name__ == "__main__":
    main()
