"""TLS and mutual TLS between the gRPC server and its callers, and certificates that are replaced
while connections live."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from cartouche.exports.v1 import export_service_pb2 as pb
from cartouche.exports.v1.export_service_pb2_grpc import ExportServiceStub

from services.demo.dataset.scenes import DATASET_NAME, write
from tests.certificates import Authority, Pair, put
from tests.parts import ObjectStore, PostgreSQL, Redis
from tests.processes import environment, free_port
from tests.stack import CARTOUCHE, CartoucheProcess, Embedded, Production

EXPORTS = "/api/v1/developer/exports/"


@dataclass(frozen=True)
class Secured:
    """A Cartouche of several processes that speak mutual TLS, its authority, and its files."""

    stack: Production
    folder: Path
    authority: Authority
    server: Pair
    client: Pair

    @property
    def callers(self) -> Path:
        """The authorities that the server believes."""
        return self.folder / "callers.crt"

    @property
    def trusted(self) -> Path:
        """The authorities that the callers believe."""
        return self.folder / "trusted.crt"


def settings(folder: Path, server: Pair, client: Pair) -> dict[str, str]:
    """Those of all parts at once."""
    return {
        "CARTOUCHE_GRPC_CERTIFICATE": str(server.certificate),
        "CARTOUCHE_GRPC_KEY": str(server.key),
        "CARTOUCHE_GRPC_CLIENT_CA": str(folder / "callers.crt"),
        "CARTOUCHE_SERVER_CA": str(folder / "trusted.crt"),
        "CARTOUCHE_CLIENT_CERTIFICATE": str(client.certificate),
        "CARTOUCHE_CLIENT_KEY": str(client.key),
    }


@pytest.fixture
def secured(
    tmp_path: Path, postgresql: PostgreSQL, redis: Redis, object_store: ObjectStore
) -> Iterator[Secured]:
    authority = Authority(tmp_path, "first")
    server = authority.pair("server", usage="serverAuth")
    client = authority.pair("client", usage="clientAuth")
    for name in ("callers.crt", "trusted.crt"):
        put(tmp_path / name, authority.certificate.read_bytes())
    with Production(
        postgresql.create_database(),
        f"{redis.url.rsplit('/', 1)[0]}/8",
        object_store,
        name="secured",
        workers=1,
        settings=settings(tmp_path, server, client),
    ) as stack:
        yield Secured(stack, tmp_path, authority, server, client)


def call(
    secured: Secured, trusted: Path | None, client: Pair | None = None
) -> tuple[grpc.StatusCode, str]:
    """How a call on a connection of its own ends: whom it trusts (None: plain text), and what it
    shows."""
    address = secured.stack.grpc_address
    pair = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    channel = (
        grpc.secure_channel(address, grpc.ssl_channel_credentials(trusted.read_bytes(), *pair))
        if trusted
        else grpc.insecure_channel(address)
    )
    with channel:
        return outcome(channel, secured.stack)


def outcome(channel: grpc.Channel, stack: Production) -> tuple[grpc.StatusCode, str]:
    asked = ExportServiceStub(channel).ListExports.future(
        pb.ListExportsRequest(), metadata=stack.metadata("viewer"), timeout=10
    )
    return asked.code(), asked.details() or ""


def refused(secured: Secured, trusted: Path | None, client: Pair | None = None) -> str:
    """Why a connection does not come about."""
    code, said = call(secured, trusted, client)
    assert code is grpc.StatusCode.UNAVAILABLE, (code, said)
    return said


def eventually(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def said_on_stderr(process: CartoucheProcess) -> list[str]:
    """The messages of its log, whose every line is JSON."""
    return [json.loads(line)["message"] for line in process.err.read_text().splitlines()]


def test_certificates_are_asked_for_and_replaced_while_connections_live(
    secured: Secured, tmp_path: Path
) -> None:
    stack, first = secured.stack, secured.authority
    # The whole way: import, REST over the gateway, health.
    (tmp_path / "scenes").mkdir()
    write(tmp_path / "scenes")
    words = ("--dataset", DATASET_NAME, "--images", str(tmp_path / "scenes"))
    stack.command("import", *words, role="member")
    assert DATASET_NAME in stack.command("datasets", "list", role="viewer").stdout
    rest = stack.http("member")
    made = rest.post(EXPORTS, json={"dataset_name": DATASET_NAME, "name": "first"})
    assert made.status_code == 201, made.text
    eventually(
        lambda: rest.get(f"{EXPORTS}{DATASET_NAME}/first").json()["status"] == "completed", 60
    )
    example = Path(__file__).parents[2] / "examples" / "grpc_client.py"
    paths = {
        "CARTOUCHE_API_KEY": stack.key("owner"),
        "PYTHONPATH": str(example.parents[1] / "protos"),
    }
    done = subprocess.run(
        [sys.executable, example, DATASET_NAME],
        env=stack.env | paths,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "server: is ready" in stack.command("health").stdout
    # As in the server's container, which needs no certificate of a caller.
    own = {name: "" for name in stack.env if name.startswith(("CARTOUCHE_SE", "CARTOUCHE_CL"))}
    own["CARTOUCHE_METRICS_PORT"] = str(stack.metrics_ports["serve"])
    own["CARTOUCHE_HTTP_PORT"] = str(free_port())
    done = subprocess.run(
        [CARTOUCHE, "health"], env=stack.env | own, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ok     server: is ready\n"), done.stderr

    # Who is refused.
    second = Authority(tmp_path, "second")
    assert call(secured, first.certificate, secured.client)[0] is grpc.StatusCode.OK
    assert refused(secured, first.certificate)
    assert refused(secured, None)
    assert refused(secured, first.certificate, second.pair("client", usage="clientAuth"))
    # A server's certificate is none of a caller.
    assert refused(secured, first.certificate, secured.server)
    assert "CERTIFICATE_VERIFY_FAILED" in refused(secured, second.certificate, secured.client)

    # Another authority: callers believe both for a while, then its certificates come.
    old_client = Pair(tmp_path / "old.crt", tmp_path / "old.key")
    old_client.replace(secured.client)
    pair = (secured.client.key.read_bytes(), secured.client.certificate.read_bytes())
    living = grpc.secure_channel(
        stack.grpc_address,
        grpc.ssl_channel_credentials(first.certificate.read_bytes(), *pair),
    )
    with living:
        assert outcome(living, stack)[0] is grpc.StatusCode.OK
        both = first.certificate.read_bytes() + second.certificate.read_bytes()
        for file in (secured.trusted, secured.callers):
            put(file, both)
        assert rest.get(EXPORTS).status_code == 200
        secured.server.replace(second.pair("server", usage="serverAuth"))
        secured.client.replace(second.pair("client", usage="clientAuth"))
        assert rest.get(EXPORTS).status_code == 200
        for file in (secured.trusted, secured.callers):
            put(file, second.certificate.read_bytes())
        assert rest.get(EXPORTS).status_code == 200
        assert call(secured, second.certificate, secured.client)[0] is grpc.StatusCode.OK
        assert refused(secured, first.certificate, secured.client)
        assert refused(secured, second.certificate, old_client)
        # What is open goes on.
        assert outcome(living, stack)[0] is grpc.StatusCode.OK
    assert DATASET_NAME in stack.command("datasets", "list", role="viewer").stdout
    # The gateway shows its new certificate to a server that knows no other.
    stack.server.restart()
    eventually(lambda: rest.get(EXPORTS).status_code == 200)

    # What cannot be used replaces nothing.
    put(secured.server.key, b"half a ke")
    assert call(secured, second.certificate, secured.client)[0] is grpc.StatusCode.OK
    assert "the certificates from before stay in use" in said_on_stderr(stack.server)
    assert "certificates were replaced" in said_on_stderr(stack.gateway)


def ended(words: list[str], env: Mapping[str, str]) -> str:
    """What a command says that ends with 1."""
    done = subprocess.run(
        [CARTOUCHE, *words], env=dict(env), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_wrong_file_ends_the_start_with_its_name(tmp_path: Path) -> None:
    away = str(tmp_path / "away.crt")
    env = environment(CARTOUCHE_SERVER_CA=away, CARTOUCHE_API_KEY="pk_live_x")
    for words in (["gateway"], ["datasets", "list"]):
        assert f"CARTOUCHE_SERVER_CA is {away}, which cannot be read" in ended(words, env)
    env = environment(CARTOUCHE_GRPC_CERTIFICATE=away)
    said = ended(["serve"], env)
    assert "CARTOUCHE_GRPC_CERTIFICATE and CARTOUCHE_GRPC_KEY belong together" in said
    env |= {"CARTOUCHE_GRPC_KEY": away, "CARTOUCHE_HOME": str(tmp_path / "home")}
    assert "CARTOUCHE_SERVER_CA, or neither" in ended(["run"], env)


def test_everything_in_one_process_speaks_tls_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "only")
    # By a name that no address has.
    server = authority.pair("server", usage="serverAuth", names="DNS:cartouche.test")
    client = authority.pair("client", usage="clientAuth")
    for name in ("callers.crt", "trusted.crt"):
        put(tmp_path / name, authority.certificate.read_bytes())
    given = settings(tmp_path, server, client) | {"CARTOUCHE_SERVER_NAME": "cartouche.test"}
    with Embedded("secured-embedded", given) as stack:
        assert stack.http("viewer").get(EXPORTS).status_code == 200
        # By the certificate of gRPC, which is none for REST.
        assert httpx.get(f"{stack.base_url}/readyz", trust_env=False).status_code == 200
        assert "server: is ready" in stack.command("health").stdout
