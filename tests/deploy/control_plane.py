"""A real Kubernetes control plane: etcd, API server, controllers and scheduler, with kwok's nodes.

Everything that a cluster decides about objects is real: admission, defaults, controllers, hooks,
placement. kwok only plays the kubelets: it says that pods run, and runs nothing.
"""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests import binaries, provision
from tests.processes import Process, environment, free_port

KUBERNETES = "v1.37.2"
#: The libraries of the same release.
_STAGING = "v0.37.2"
_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
KWOK = binaries.GoProgram("kwok", "sigs.k8s.io/kwok/cmd/kwok", "v0.8.0")
KUBELETS = Path(__file__).parent / "kubelets.yaml"
#: The address that the API server tells the cluster; nothing is sent there.
ADDRESS = "10.255.0.1"
_SERVICES = "10.96.0.0/16"
_ZONES = ("zone-a", "zone-b", "zone-c")

Manifest = dict[str, Any]


class ClusterError(Exception):
    """A call failed or did not come about; the message has its output."""


def program(command: str) -> Path:
    """Where a command of Kubernetes lies."""
    return binaries.cache_folder() / f"{command}-{KUBERNETES}"


def ensure() -> None:
    """Sees to it that everything is here. Built once, which takes ten minutes on two cores.

    Raises:
        ClusterError: something is not, and cannot be had.
    """
    if not binaries.find("etcd") and binaries.is_root() and shutil.which("apt-get"):
        provision.apt_install(["etcd-server"])
    if not binaries.find("etcd"):
        raise ClusterError("no etcd, and no root to install etcd-server")
    missing = [command for command in _COMMANDS if not program(command).exists()]
    if (missing or not KWOK.path.exists()) and not shutil.which("go"):
        raise ClusterError(f"no Go to build {', '.join(missing) or 'kwok'}")
    if not KWOK.path.exists():
        provision.go_install(KWOK)
    if missing:
        _build(missing)


def _build(commands: Sequence[str]) -> None:
    """Kubernetes replaces its libraries by folders of its repository, which only the main module
    may do: so one is made that replaces them by what is published."""
    print(f"Building {', '.join(commands)} {KUBERNETES} with Go, once", flush=True)
    with tempfile.TemporaryDirectory(dir=_made(binaries.cache_folder())) as name:
        folder = Path(name)
        wanted = f"k8s.io/kubernetes@{KUBERNETES}"
        found = json.loads(_go(folder, "mod", "download", "-json", wanted))
        lines = Path(found["GoMod"]).read_text().splitlines()
        replaced = [line.split()[0] for line in lines if "=> ./staging/" in line]
        (folder / "go.mod").write_text(
            "module cartouche.test/cluster\n\n"
            + "\n".join(line for line in lines if line.startswith(("go ", "godebug ")))
            + f"\n\nrequire k8s.io/kubernetes {KUBERNETES}\n\n"
            + "\n".join(f"replace {library} => {library} {_STAGING}" for library in replaced)
            + "\n"
        )
        for command in commands:
            version = "-X k8s.io/component-base/version"
            flags = f"-s -w {version}.gitVersion={KUBERNETES} {version}.gitMajor=1"
            minor = f"{version}.gitMinor={KUBERNETES.split('.')[1]}"
            built = folder / command
            _go(
                *(folder, "build", "-mod=mod", "-trimpath", "-ldflags", f"{flags} {minor}"),
                *("-o", str(built), f"k8s.io/kubernetes/cmd/{command}"),
            )
            built.replace(program(command))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _go(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["go", *words],
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ClusterError(f"go {words[0]} failed:\n{done.stderr}")
    return done.stdout


class ControlPlane:
    """A cluster without machines. Use it as a context manager, in a network namespace of its own
    that has `ADDRESS`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cartouche-cluster-"))
        self.kubeconfig = self.folder / "kubeconfig"
        self._port = free_port()
        self._processes: list[Process] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubectl(self, *words: str, given: object = None, check: bool = True) -> str:
        """What `kubectl WORDS` prints, with an object on standard input.

        Raises:
            ClusterError: it failed.
        """
        done = subprocess.run(
            [program("kubectl"), "--kubeconfig", self.kubeconfig, *words],
            input=None if given is None else json.dumps(given),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def objects(self, kind: str, namespace: str) -> list[Manifest]:
        """Every object of a kind."""
        found = self.kubectl("get", kind, "--namespace", namespace, "--output", "json")
        return list(json.loads(found)["items"])

    def watch(self, kinds: str, namespace: str) -> "Watch":
        """Everything that happens to objects from now on."""
        words = ("get", kinds, "--namespace", namespace, "--output", "json")
        process = Process(
            f"watch-{secrets.token_hex(4)}",
            [
                *(program("kubectl"), "--kubeconfig", self.kubeconfig, *words),
                *("--watch", "--output-watch-events"),
            ],
            self.folder,
            environment(),
        )
        process.start()
        self._processes.append(process)
        return Watch(process)

    def _start(self) -> None:
        certificates = self.folder / "certificates"
        key = self.folder / "service-accounts.key"
        words = ("openssl", "genrsa", "-out", str(key), "2048")
        subprocess.run(words, check=True, capture_output=True)
        token = secrets.token_hex(16)
        tokens = self.folder / "tokens.csv"
        tokens.write_text(f"{token},admin,admin,system:masters\n")
        etcd, peer = free_port(), free_port()
        self._run(
            *("etcd", binaries.find("etcd"), "--data-dir", self.folder / "etcd"),
            *("--listen-client-urls", f"http://127.0.0.1:{etcd}"),
            *("--advertise-client-urls", f"http://127.0.0.1:{etcd}"),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
            *("--unsafe-no-fsync", "--log-level", "error"),
        )
        self._run(
            *("kube-apiserver", program("kube-apiserver")),
            *("--etcd-servers", f"http://127.0.0.1:{etcd}"),
            *("--secure-port", str(self._port), "--bind-address", "127.0.0.1"),
            *("--advertise-address", ADDRESS, "--cert-dir", certificates),
            *("--token-auth-file", tokens, "--authorization-mode", "Node,RBAC"),
            *("--service-cluster-ip-range", _SERVICES),
            # Debian's etcd is too old to stream lists.
            "--feature-gates=WatchList=false",
            *("--service-account-issuer", "https://cluster.test"),
            *("--service-account-signing-key-file", key, "--service-account-key-file", key),
        )
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [
                        {
                            "name": "here",
                            "cluster": {
                                "server": f"https://127.0.0.1:{self._port}",
                                "insecure-skip-tls-verify": True,
                            },
                        }
                    ],
                    "users": [{"name": "admin", "user": {"token": token}}],
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
                    "current-context": "here",
                }
            )
        )
        self._until(lambda: "ok" in self.kubectl("get", "--raw", "/readyz", check=False)[:2])
        for command, more in (
            (
                "kube-controller-manager",
                ("--service-account-private-key-file", key, "--secure-port", str(free_port())),
            ),
            ("kube-scheduler", ("--secure-port", str(free_port()))),
        ):
            self._run(
                *(command, program(command), "--kubeconfig", self.kubeconfig, *more),
                *("--leader-elect=false", "--cert-dir", certificates / command),
            )
        self._run(
            *("kwok", KWOK.path, "--kubeconfig", self.kubeconfig, "--manage-all-nodes=true"),
            *("--server-address", f"127.0.0.1:{free_port()}", "--config", KUBELETS),
            *("--node-lease-duration-seconds", "40"),
        )
        for number, zone in enumerate(_ZONES):
            self.kubectl("create", "--filename", "-", given=_node(f"node-{number}", zone, ""))
        self.kubectl("create", "--filename", "-", given=_node("large", _ZONES[0], "large"))

    def _run(self, name: str, *command: Any) -> None:
        process = Process(name, command, self.folder, environment())
        process.start()
        self._processes.append(process)

    def _until(self, true: Any) -> None:
        until = time.monotonic() + 90
        while not true():
            for process in self._processes:
                if not process.running:
                    raise ClusterError(f"{process.name} ended\n{process.log()}")
            if time.monotonic() > until:
                raise ClusterError("\n".join(process.log() for process in self._processes))
            time.sleep(0.3)


class Watch:
    """What has happened to objects, in the order of the API server."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def events(self) -> list[Manifest]:
        """Everything so far: the type, and the object as it was then. Ends the watch."""
        time.sleep(1)
        self._process.stop()
        text = self._process.out.read_text()
        found, decoder, at = [], json.JSONDecoder(), 0
        while at < len(text):
            event, at = decoder.raw_decode(text, at)
            found.append(event)
            while at < len(text) and text[at].isspace():
                at += 1
        return sorted(found, key=lambda event: revision(event["object"]))


def revision(found: Manifest) -> int:
    """The API server's count of changes when an object became what it is: one for all kinds."""
    return int(found["metadata"]["resourceVersion"])


def _node(name: str, zone: str, size: str) -> Manifest:
    """A node; one of a size is for those alone who ask for it."""
    taints = [{"key": "size", "value": size, "effect": "NoSchedule"}] if size else []
    amounts = {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "500Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "topology.kubernetes.io/zone": zone,
                "type": "kwok",
                **({"size": size} if size else {}),
            },
        },
        "spec": {"taints": taints},
        "status": {
            "allocatable": amounts,
            "capacity": amounts,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
