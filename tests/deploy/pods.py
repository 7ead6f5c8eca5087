"""`make deploy-pods`: runs what the chart renders, in containers, on the services for a first look.

No cluster is needed: every container of the chart and of deploy/kubernetes/trial-services.yaml is
started with its own image, command, user, variables and secrets, under the names that it would
have in a cluster, in Helm's order, with mutual TLS between gateway and server. Its probes are
asked, `helm test` makes an export, and then each is told to end.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.certificates import Authority
from tests.deploy import stand_ins
from tests.deploy.chart import CHART, NEWEST, helm
from tests.deploy.podman import IMAGE, ROOT, ContainerError, build, ensure, podman

KUBERNETES = ROOT / "deploy" / "kubernetes"
NAMESPACE = "cartouche"
_PATIENCE = 90.0

Manifest = dict[str, Any]


def main() -> None:
    """Runs all of it, prints a line for each pod, and removes everything again."""
    ensure()
    build(stand_ins.base())
    repository, _, tag = IMAGE.rpartition(":")
    text = helm(
        *("template", "cartouche", str(CHART), "--namespace", NAMESPACE),
        *("--kube-version", NEWEST, "--values", str(KUBERNETES / "trial-values.yaml")),
        *("--set", f"image.repository={repository},image.tag={tag}"),
        # Nothing here translates the ports of a Service, and the store has one name for everybody.
        *("--set", "gateway.service.port=8080"),
        *("--set", "store.publicEndpoint=http://trial-s3:8333"),
        *("--set", "tls.existingSecret=server-tls,tls.client.existingSecret=gateway-tls"),
    )
    chart = [found for found in yaml.safe_load_all(text) if found]
    services = list(yaml.safe_load_all((KUBERNETES / "trial-services.yaml").read_text()))
    with _network() as network, tempfile.TemporaryDirectory(prefix="cartouche-pods-") as folder:
        secrets = _certificates(Path(folder))
        cluster = Cluster(network, Path(folder), [*services, *secrets, *chart])
        for each in services:
            if each["kind"] == "Deployment":
                stand_ins.third_party(each["spec"]["template"]["spec"]["containers"][0]["image"])
                cluster.start(each)
        job = next(each for each in chart if each["kind"] == "Job")
        cluster.run(job["spec"]["template"], "migration")
        deployments = [each for each in chart if each["kind"] == "Deployment"]
        # A gateway is ready once its server is.
        started = [cluster.start(each) for each in sorted(deployments, key=_order)]
        test = next(each for each in chart if each["kind"] == "Pod")
        print(cluster.run(test, "helm test"), flush=True)
        for name, grace in reversed(started):
            cluster.end(name, grace)
    print("ended in order, each within its grace period")


class Cluster:
    """Containers in one network, which find each other by the names of Kubernetes."""

    def __init__(self, network: str, folder: Path, objects: list[Manifest]) -> None:
        self._network = network
        self._folder = folder
        # Whoever a container runs as gets in.
        folder.chmod(0o755)
        self._objects = objects

    def start(self, deployment: Manifest) -> tuple[str, int]:
        """Starts one pod of a Deployment and waits until it is ready; its name and grace period."""
        name = deployment["metadata"]["name"]
        pod = deployment["spec"]["template"]
        began_at = time.monotonic()
        aliases = [alias for service in self._services(pod) for alias in _names(service)]
        words = [word for alias in aliases for word in ("--network-alias", alias)]
        container = pod["spec"]["containers"][0]
        podman("run", "--detach", "--name", name, *words, *self._words(pod))
        until = time.monotonic() + _PATIENCE
        while not _is_ready(name, container.get("readinessProbe", {})):
            if time.monotonic() > until:
                raise ContainerError(f"{name} is not ready\n{_log(name)}")
            time.sleep(0.3)
        print(f"{name}: ready after {time.monotonic() - began_at:.1f} s", flush=True)
        return name, pod["spec"].get("terminationGracePeriodSeconds", 30)

    def run(self, pod: Manifest, what: str) -> str:
        """Runs a pod that ends by itself; what it printed."""
        began_at = time.monotonic()
        said = podman("run", "--rm", "--name", what.replace(" ", "-"), *self._words(pod)).stdout
        print(f"{what}: ended well after {time.monotonic() - began_at:.1f} s", flush=True)
        return said.strip()

    def end(self, name: str, grace: int) -> None:
        """Tells a container to end, as a kubelet does after preStop.

        Raises:
            ContainerError: it ended with an error, or not in time.
        """
        began_at = time.monotonic()
        podman("stop", "--time", str(grace), name, timeout=grace + 30)
        code = podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip()
        if code != "0" or time.monotonic() - began_at >= grace:
            raise ContainerError(f"{name} ended with {code}\n{_log(name)}")

    def _words(self, pod: Manifest) -> list[str]:
        """How podman starts the only container of a pod."""
        spec = pod["spec"]
        (container,) = spec["containers"]
        security = spec["securityContext"]
        user = f"{security['runAsUser']}:{security['runAsGroup']}"
        words = ["--network", self._network, "--user", user, "--cap-drop", "all"]
        words += ["--security-opt", "no-new-privileges"]
        if container["securityContext"].get("readOnlyRootFilesystem"):
            words.append("--read-only")
        if "memory" in container["resources"].get("limits", {}):
            words += [
                "--memory",
                container["resources"]["limits"]["memory"].replace("i", "").lower(),
            ]
        for name, value in self._variables(container).items():
            words += ["--env", f"{name}={value}"]
        words += self._mounts(spec, container)
        if "command" in container:
            first, *rest = container["command"]
            return [*words, "--entrypoint", first, container["image"], *rest]
        return [*words, container["image"], *container.get("args", ())]

    def _variables(self, container: Manifest) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found |= self._object("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable in container.get("env", ()):
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            else:
                reference = variable["valueFrom"]["secretKeyRef"]
                secret = self._object("Secret", reference["name"])["stringData"]
                found[variable["name"]] = secret[reference["key"]]
        return found

    def _mounts(self, spec: Manifest, container: Manifest) -> list[str]:
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        words = []
        for mount in container["volumeMounts"]:
            volume = volumes[mount["name"]]
            folder = self._folder / f"{container['name']}-{mount['name']}"
            if "emptyDir" in volume:
                # Writable for the pod's group, as fsGroup makes it. A pod's replicas, and what is
                # started anew, find it empty.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                folder.chmod(0o777)
                words += ["--volume", f"{folder}:{mount['mountPath']}"]
                continue
            folder.mkdir()
            secret = self._object("Secret", volume["secret"]["secretName"])["stringData"]
            for item in volume["secret"]["items"]:
                (folder / item["path"]).write_text(secret[item["key"]])
            words += ["--volume", f"{folder}:{mount['mountPath']}:ro"]
        return words

    def _object(self, kind: str, name: str) -> Manifest:
        return next(o for o in self._objects if (o["kind"], o["metadata"]["name"]) == (kind, name))

    def _services(self, pod: Manifest) -> list[Manifest]:
        labels = pod["metadata"]["labels"].items()
        return [
            o
            for o in self._objects
            if o["kind"] == "Service" and o["spec"]["selector"].items() <= labels
        ]


def _certificates(folder: Path) -> list[Manifest]:
    """Secrets as cert-manager makes them: of the server, and of the gateway."""
    authority = Authority(folder, "authority")
    host = f"DNS:cartouche-server.{NAMESPACE}.svc.cluster.local"
    pairs = {
        "server-tls": authority.pair("server", usage="serverAuth", names=host),
        "gateway-tls": authority.pair("gateway", usage="clientAuth", names="DNS:gateway"),
    }
    return [
        {
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {
                "tls.crt": pair.certificate.read_text(),
                "tls.key": pair.key.read_text(),
                "ca.crt": authority.certificate.read_text(),
            },
        }
        for name, pair in pairs.items()
    ]


def _names(service: Manifest) -> list[str]:
    """How a Service is called, in its namespace and in full."""
    name = service["metadata"]["name"]
    return [name, f"{name}.{NAMESPACE}.svc.cluster.local"]


def _order(deployment: Manifest) -> int:
    component = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
    return ["server", "gateway"].index(component) if component in ("server", "gateway") else 2


def _is_ready(name: str, probe: Manifest) -> bool:
    """Asks a readiness probe. What a kubelet asks over the network is asked from inside."""
    if "exec" in probe:
        words = probe["exec"]["command"]
    elif "tcpSocket" in probe:
        port = probe["tcpSocket"]["port"]
        words = ["python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}))"]
    elif "grpc" in probe:
        words = ["cartouche", "health", "server"]
    else:
        port = {"http": 8080, "metrics": 9464}.get(
            probe["httpGet"]["port"], probe["httpGet"]["port"]
        )
        url = f"http://127.0.0.1:{port}{probe['httpGet']['path']}"
        words = ["python3", "-c", f"import urllib.request as r; r.urlopen('{url}', timeout=5)"]
    return podman("exec", name, *words, check=False).returncode == 0


def _log(name: str) -> str:
    done = podman("logs", "--tail", "40", name, check=False)
    return done.stdout + done.stderr


@contextmanager
def _network() -> Iterator[str]:
    name = "cartouche-pods"
    podman("network", "create", name)
    try:
        yield name
    finally:
        podman("network", "rm", "--force", "--time", "5", name, check=False)


if __name__ == "__main__":
    main()
