"""Where a gRPC server is, and how it and its callers prove who they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from services import certificates
from services.certificates import Pem, PemFiles
from services.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A gRPC server, as a caller knows it."""

    #: `host:port`, or another name that gRPC resolves.
    address: str
    #: Whom the caller trusts, and its own certificate; None: everything goes in plain text.
    files: PemFiles | None = None
    #: The name in the server's certificate; empty: the host of the address.
    name: str = ""

    @contextmanager
    def channel(self, *options: tuple[str, int]) -> Iterator[grpc.Channel]:
        """A channel with these options, and the certificates that the files hold now."""
        named = [("grpc.ssl_target_name_override", self.name)] if self.name else []
        if self.files is None:
            opened = grpc.insecure_channel(self.address, options)
        else:
            told = credentials(self.files.look())
            opened = grpc.secure_channel(self.address, told, [*options, *named])
        with opened:
            yield opened


def endpoint(settings: Settings, address: str = "") -> Endpoint:
    """The server at the address, or at that of the settings, trusted as they say.

    Raises:
        SettingsError: a certificate cannot be read.
    """
    return Endpoint(
        address or settings.server, certificates.of_client(settings), settings.server_name
    )


def credentials(pem: Pem) -> grpc.ChannelCredentials:
    """What gRPC takes for them."""
    return grpc.ssl_channel_credentials(pem.authorities, pem.key or None, pem.certificate or None)


def renewed_credentials(files: PemFiles) -> Callable[[], grpc.ChannelCredentials]:
    """Gives what the files hold, as another object as soon as they are replaced."""
    pem = files.look()
    made = credentials(pem)

    def current() -> grpc.ChannelCredentials:
        nonlocal pem, made
        found = files.look()
        if found is not pem:
            pem, made = found, credentials(found)
        return made

    return current
