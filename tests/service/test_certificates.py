"""Certificates in files: what is refused at the start, and what replaces what."""

import logging
import subprocess
from pathlib import Path

import pytest

from services import certificates
from services.certificates import PemFiles
from services.settings import Settings, SettingsError
from tests.certificates import Authority, Pair, put
from tests.needs import need_tool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder, "one")


@pytest.fixture(scope="module")
def other(folder: Path) -> Authority:
    return Authority(folder, "other")


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.pair("server", usage="serverAuth")


def server_files(pair: Pair, client_ca: Path | None = None) -> PemFiles:
    settings = Settings(
        grpc_certificate=pair.certificate, grpc_key=pair.key, grpc_client_ca=client_ca
    )
    found = certificates.of_server(settings)
    assert found is not None
    return found


def test_files_are_taken_as_they_are(pair: Pair, authority: Authority) -> None:
    found = server_files(pair, authority.certificate).look()
    assert (found.certificate, found.key) == (pair.certificate.read_bytes(), pair.key.read_bytes())
    assert found.authorities == authority.certificate.read_bytes()
    assert certificates.of_server(Settings()) is None
    assert certificates.of_client(Settings()) is None


def test_the_key_of_another_certificate_is_refused(pair: Pair, other: Authority) -> None:
    wrong = Pair(pair.certificate, other.pair("server", usage="serverAuth").key)
    with pytest.raises(SettingsError, match="a certificate and the key of another one"):
        server_files(wrong)


def test_what_is_no_pem_is_refused(pair: Pair, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    for wrong in (Pair(nothing, pair.key), Pair(pair.certificate, nothing)):
        with pytest.raises(SettingsError, match=r"CARTOUCHE_GRPC_CERTIFICATE and .* in PEM"):
            server_files(wrong)
    with pytest.raises(SettingsError, match=r"CARTOUCHE_GRPC_CLIENT_CA is .*nothing.pem, which"):
        server_files(pair, nothing)
    with pytest.raises(SettingsError, match=r"CARTOUCHE_SERVER_CA is .*no certificates in PEM"):
        certificates.of_client(Settings(server_ca=nothing))


def test_a_key_with_a_password_is_refused_and_nobody_asked(pair: Pair, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    words = ("ec", "-in", pair.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    subprocess.run([need_tool("openssl"), *words], check=True, capture_output=True)
    with pytest.raises(SettingsError, match="without a password"):
        server_files(Pair(pair.certificate, locked))


def test_a_file_that_is_not_there_is_refused(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"CARTOUCHE_GRPC_KEY is .*: No such file or directory"):
        server_files(Pair(pair.certificate, tmp_path / "away"))
    with pytest.raises(SettingsError, match=r"CARTOUCHE_SERVER_CA is .*: Is a directory"):
        certificates.of_client(Settings(server_ca=tmp_path))


def test_what_replaces_a_pair_is_taken_once_it_is_whole(
    pair: Pair, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files = server_files(pair)
    before = files.look()
    assert files.look() is before
    newer = authority.pair("newer", usage="serverAuth")
    with caplog.at_level(logging.INFO):
        put(pair.certificate, newer.certificate.read_bytes())
        # Its key is not there yet.
        assert files.look() is before
        assert files.look() is before
        put(pair.key, newer.key.read_bytes())
        after = files.look()
    assert (after.certificate, after.key) == (
        newer.certificate.read_bytes(),
        newer.key.read_bytes(),
    )
    assert files.look() is after
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    # Gone is no replacement.
    pair.key.unlink()
    assert files.look() is after
