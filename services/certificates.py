"""Certificates in files, which somebody renews while a process runs.

What is read is checked first, so that a mistake is told at the start and never replaces what
works: a key that is not the certificate's, a file that is half written or gone.
"""

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from services.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

#: Readings until files stand still that are being replaced one after the other.
_READINGS = 5


@dataclass(frozen=True, slots=True)
class Pem:
    """What files held at one moment; empty where none is named."""

    #: The certificate, and those between it and an authority.
    certificate: bytes = b""
    key: bytes = b""
    #: The authorities whose certificates the other side may show.
    authorities: bytes = b""


@dataclass(frozen=True, slots=True)
class PemFile:
    """A file, and the setting that names it."""

    setting: str
    path: Path


#: What tells a file from the one that replaces it: time of change, length, inode.
_Mark = tuple[int, int, int]


class PemFiles:
    """A certificate with its key, authorities, or both. Any thread may look at them."""

    def __init__(
        self, pair: tuple[PemFile, PemFile] | None = None, authorities: PemFile | None = None
    ) -> None:
        """Reads them.

        Raises:
            SettingsError: one cannot be read, or is not what its setting asks for.
        """
        self._pair, self._authorities = pair, authorities
        self._files = (*(pair or ()), *((authorities,) if authorities else ()))
        self._lock = threading.Lock()
        self._marks, self._pem = self._read()

    def look(self) -> Pem:
        """What the files hold now: the same object as before where none was replaced, or where
        what replaced them cannot be used."""
        with self._lock:
            marks = self._marked()
            if marks != self._marks:
                try:
                    self._marks, self._pem = self._read()
                except SettingsError as error:
                    # Said once, until they change again.
                    self._marks = marks
                    logger.warning(
                        "the certificates from before stay in use", extra={"error": str(error)}
                    )
                else:
                    logger.info(
                        "certificates were replaced",
                        extra={"settings": [file.setting for file in self._files]},
                    )
            return self._pem

    def _marked(self) -> tuple[_Mark | None, ...]:
        return tuple(_mark(file.path) for file in self._files)

    def _read(self) -> tuple[tuple[_Mark | None, ...], Pem]:
        for _ in range(_READINGS):
            before = self._marked()
            failure = None
            try:
                pem = self._checked()
            except SettingsError as error:
                failure = error
            if self._marked() == before:
                break
        if failure is not None:
            raise failure
        return before, pem

    def _checked(self) -> Pem:
        certificate = key = authorities = b""
        if self._pair is not None:
            certificate, key = (_content(file) for file in self._pair)
            _check_pair(*self._pair)
        if self._authorities is not None:
            authorities = _content(self._authorities)
            _check_authorities(self._authorities)
        return Pem(certificate, key, authorities)


def of_server(settings: Settings) -> PemFiles | None:
    """What the gRPC server proves itself with, and whom it lets in; None: everything goes in
    plain text.

    Raises:
        SettingsError: a file cannot be read, or is not what its setting asks for.
    """
    if settings.grpc_certificate is None or settings.grpc_key is None:
        return None
    return PemFiles(
        (
            PemFile("CARTOUCHE_GRPC_CERTIFICATE", settings.grpc_certificate),
            PemFile("CARTOUCHE_GRPC_KEY", settings.grpc_key),
        ),
        _named("CARTOUCHE_GRPC_CLIENT_CA", settings.grpc_client_ca),
    )


def of_client(settings: Settings) -> PemFiles | None:
    """Whom a caller of the gRPC server trusts, and what it proves itself with; None: everything
    goes in plain text.

    Raises:
        SettingsError: a file cannot be read, or is not what its setting asks for.
    """
    if settings.server_ca is None:
        return None
    pair = None
    if settings.client_certificate is not None and settings.client_key is not None:
        pair = (
            PemFile("CARTOUCHE_CLIENT_CERTIFICATE", settings.client_certificate),
            PemFile("CARTOUCHE_CLIENT_KEY", settings.client_key),
        )
    return PemFiles(pair, PemFile("CARTOUCHE_SERVER_CA", settings.server_ca))


def _named(setting: str, path: Path | None) -> PemFile | None:
    return PemFile(setting, path) if path else None


def _mark(path: Path) -> _Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _content(file: PemFile) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{file.setting} is {file.path}, which cannot be read: {error.strerror}"
        ) from None


def _check_pair(certificate: PemFile, key: PemFile) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # With a password that is wrong, for else the terminal is asked for one.
        context.load_cert_chain(certificate.path, key.path, password=b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            said = "hold a certificate and the key of another one"
        else:
            said = "are no certificate and its key in PEM, without a password"
        raise SettingsError(
            f"{certificate.setting} and {key.setting}, {certificate.path} and {key.path}, {said}"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{certificate.setting} or {key.setting} cannot be read: {error.strerror}"
        ) from None


def _check_authorities(file: PemFile) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file.path)
    except ssl.SSLError:
        raise SettingsError(
            f"{file.setting} is {file.path}, which holds no certificates in PEM"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{file.setting} is {file.path}, which cannot be read: {error.strerror}"
        ) from None
