"""One message over HTTP, to the address that was judged."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping, Sequence

from services.webhooks.addresses import AddressRefused, Network, Place, addresses_of, place_of
from services.webhooks.model import Outcome

#: Seconds for all of it: the specification recommends 15 to 30.
_TIMEOUT = 15.0
#: Bytes of an answer that are read, of which nothing is used.
_ANSWER = 64 * 1024


def send(
    url: str, headers: Mapping[str, str], payload: bytes, allowed: Sequence[Network]
) -> Outcome:
    """Posts a message. Redirects are not followed: they may lead anywhere."""
    began_at = time.monotonic()
    status, error = 0, ""
    try:
        place = place_of(url)
        status = _post(place, addresses_of(place, allowed), headers, payload, began_at)
        if not 200 <= status < 300:
            error = f"the receiver answered {status}"
            if 300 <= status < 400:
                error += ", and redirects are not followed: give the address that it leads to"
    except AddressRefused as refused:
        error = f"the address {refused}"
    except TimeoutError:
        error = f"the receiver gave no answer within {_TIMEOUT:.0f} s"
    except ssl.SSLError as failed:
        error = f"its TLS does not work: {failed.reason or failed}"
    except (OSError, http.client.HTTPException, UnicodeError) as failed:
        error = f"the receiver cannot be reached: {_words(failed)}"
    return Outcome(status, error, round((time.monotonic() - began_at) * 1000))


def _post(
    place: Place,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    payload: bytes,
    began_at: float,
) -> int:
    """The status of the answer."""
    failure: OSError | None = None
    for address in addresses:
        left = _TIMEOUT - (time.monotonic() - began_at)
        if left <= 0:
            raise TimeoutError
        try:
            connected = socket.create_connection((address, place.port), timeout=left)
        except TimeoutError:
            raise
        except OSError as error:
            failure = error
            continue
        with connected:
            connection = http.client.HTTPConnection(place.host, place.port, timeout=left)
            connection.sock = _secured(connected, place) if place.is_tls else connected
            connection.request("POST", place.target, payload, dict(headers))
            answer = connection.getresponse()
            answer.read(_ANSWER)
            connection.close()
            return answer.status
    raise failure or OSError("its name has no address")


def _secured(connected: socket.socket, place: Place) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(connected, server_hostname=place.host)


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
