"""Which addresses webhooks may call: public ones over HTTPS, and those that whoever runs Cartouche
allows.

A tenant names the address, and the worker that calls it stands inside: private networks, link-local
addresses and with them the metadata services of clouds must not be reached, whatever a name
resolves to (OWASP, Server-Side Request Forgery). So names are resolved once, and the address that
was judged is the one that is connected to.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import SplitResult, urlsplit

from services.errors import Invalid

MAX_URL = 1_000
#: IPv6 networks whose addresses hold one of IPv4 in their last 32 bits (RFC 6052).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))

#: A name, an address of IPv4, or one of IPv6 without its brackets.
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressRefused(Exception):
    """Nothing may be sent there; the message says why, to whoever named the address."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message goes."""

    #: Name or address, as the URL has it.
    host: str
    port: int
    is_tls: bool
    #: Path and query.
    target: str


def check_url(url: str) -> None:
    """Raises:
    Invalid: it is no address that a webhook can have.
    """
    try:
        place_of(url)
    except AddressRefused as error:
        raise Invalid.of("url", str(error)) from None


def callback_error(url: str, allowed: Sequence[Network]) -> str | None:
    """What is wrong with the URL of a callback, as far as it can be told without resolving a name;
    None: nothing."""
    try:
        place = place_of(url)
        if _names_itself(place.host):
            addresses_of(place, allowed)
        elif not place.is_tls and not allowed:
            raise AddressRefused("begins with http://: give an address that begins with https://")
    except AddressRefused as error:
        return str(error)
    return None


def place_of(url: str) -> Place:
    """Where a URL leads.

    Raises:
        AddressRefused: it is no URL for messages.
    """
    if len(url) > MAX_URL:
        raise AddressRefused(f"has more than {MAX_URL:,} characters")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise AddressRefused("is no URL: write other characters percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("is no URL") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise AddressRefused("is no URL that begins with https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("holds a password; messages are signed instead")
    if not _HOST.fullmatch(parts.hostname):
        raise AddressRefused("names a host that there cannot be: give letters, digits, '.' and '-'")
    is_tls = parts.scheme == "https"
    return Place(parts.hostname, port or (443 if is_tls else 80), is_tls, _target(parts))


def addresses_of(place: Place, allowed: Sequence[Network]) -> list[str]:
    """The addresses of a place that may be connected to.

    Raises:
        AddressRefused: there is none.
        OSError: its name cannot be resolved.
    """
    found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    good = [address for address in addresses if _is_good(address, place, allowed)]
    if not good:
        raise AddressRefused(
            f"leads to {', '.join(addresses)}, where nothing may be sent: webhooks go to public "
            "addresses, over HTTPS"
        )
    return good


def _names_itself(host: str) -> bool:
    """Whether a host is an address in some notation, or this machine.

    Raises:
        AddressRefused: it can be neither, nor a name.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except UnicodeError:
        # A label that is empty, or longer than 63 characters.
        raise AddressRefused("names a host that there cannot be") from None
    except OSError:
        return False
    return True


def _is_good(text: str, place: Place, allowed: Sequence[Network]) -> bool:
    address = plain_address(ipaddress.ip_address(text))
    if any(address in network for network in allowed):
        return True
    return place.is_tls and address.is_global and not address.is_multicast


def plain_address(address: Address) -> Address:
    """The IPv4 address that one of IPv6 stands for, or the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if any(address in network for network in _TRANSLATED):
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
