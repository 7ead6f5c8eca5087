"""The server's certificate, and whose certificates its callers must show."""

import grpc

from services.certificates import Pem, PemFiles


def server_credentials(files: PemFiles) -> grpc.ServerCredentials:
    """Credentials that look at the files for each new connection. Where they name authorities,
    who shows no certificate of theirs is not let in.

    Connections live on with what they were made with, until they reach their greatest age.
    """
    told = files.look()

    def replaced() -> grpc.ServerCertificateConfiguration | None:
        nonlocal told
        found = files.look()
        if found is told:
            return None
        told = found
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(told),
        replaced,  # type: ignore[arg-type]  # None, too: as before.
        require_client_authentication=bool(told.authorities),
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pem.key, pem.certificate)], pem.authorities or None
    )
