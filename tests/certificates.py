"""Authorities and certificates for tests, made with OpenSSL."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.needs import need_tool


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path

    def replace(self, other: "Pair") -> None:
        """Puts another pair in the place of this one, as a mounted secret does: each file at
        once, and one after the other."""
        for mine, its in ((self.certificate, other.certificate), (self.key, other.key)):
            put(mine, its.read_bytes())


class Authority:
    """Signs certificates. Its own lies in `certificate`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self.certificate, self._key = folder / f"{name}.crt", folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate),
            *("-subj", f"/CN={name}", "-days", "2", "-addext", "basicConstraints=critical,CA:TRUE"),
        )

    def pair(self, name: str, *, usage: str, names: str = "DNS:localhost,IP:127.0.0.1") -> Pair:
        """A certificate of that extended key usage (`serverAuth`, `clientAuth`) for these names."""
        stem = self._folder / f"{self._name}-{name}"
        made = Pair(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\n")
        _openssl("req", *_NEW_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", made.certificate),
        )
        return made


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def put(path: Path, content: bytes) -> None:
    """Replaces a file at once."""
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.replace(path)


def _openssl(*words: str | Path) -> None:
    subprocess.run([need_tool("openssl"), *words], check=True, capture_output=True, timeout=30)
