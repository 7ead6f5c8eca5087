"""A store behind a certificate of an authority that the system does not know."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.storage import ObjectStore, StorageConfig, StorageUnavailable
from tests import parts
from tests.needs import need_tool
from tests.processes import Process, accepts
from tests.service.storage.stores import IMAGES, config_of, noise


class RcloneOverTls(parts.Rclone):
    """rclone's server with a certificate of its own authority."""

    def __init__(self, openssl: str) -> None:
        super().__init__()
        self._openssl = openssl
        for authority in ("other", "authority"):
            self._run("req", "-x509", *self._new(authority))
        self._run("req", *self._new("server"))
        (self.folder / "server.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
        self._run(
            *("x509", "-req", "-in", "server.pem", "-days", "2", "-extfile", "server.cnf"),
            *("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"),
            *("-out", "signed.pem"),
        )
        #: Two authorities, as a bundle has.
        self.bundle = self.folder / "bundle.pem"
        names = ("other.pem", "authority.pem")
        self.bundle.write_text("".join((self.folder / name).read_text() for name in names))

    def _run(self, *words: str) -> None:
        command = [self._openssl, *words]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    @staticmethod
    def _new(name: str) -> tuple[str, ...]:
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
        return ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", *files)

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def _make_process(self) -> Process:
        return self.command("--cert", "signed.pem", "--key", "server.key")

    def _answers(self) -> bool:
        return accepts(self.port)


@pytest.fixture
def config() -> Iterator[StorageConfig]:
    server = RcloneOverTls(need_tool("openssl"))
    try:
        server.start()
        yield replace(config_of(server), ca_bundle=server.bundle)
    finally:
        server.remove()


def test_every_client_believes_the_bundle(config: StorageConfig) -> None:
    store = ObjectStore(config)
    store.ensure_buckets()
    store.put(IMAGES, "tls", noise(1000))
    assert store.get(IMAGES, "tls") == noise(1000)
    assert b"".join(store.stream(IMAGES, "tls")) == noise(1000)
    assert [info.key for info in store.list(IMAGES)] == ["tls"]
    store.close()


def test_without_it_nobody_is_believed(config: StorageConfig) -> None:
    store = ObjectStore(replace(config, ca_bundle=None))
    for call in (store.ready, lambda: store.get(IMAGES, "x"), lambda: store.put(IMAGES, "x", b"")):
        with pytest.raises(StorageUnavailable):
            call()
    store.close()


def test_a_bundle_that_is_none_is_named(config: StorageConfig, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for path in (tmp_path / "none.pem", tmp_path / "empty.pem"):
        with pytest.raises(ValueError, match="CARTOUCHE_S3_CA_BUNDLE"):
            replace(config, ca_bundle=path)
