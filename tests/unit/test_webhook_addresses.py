"""Where webhooks may go: a table of what must not be reached, and a property over all addresses."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.schemas import URL_PATTERN
from services.errors import Invalid
from services.settings import Settings, SettingsError, load, networks_of
from services.webhooks.addresses import (
    AddressRefused,
    addresses_of,
    callback_error,
    check_url,
    place_of,
    plain_address,
)

INSIDE = (
    "127.0.0.1", "127.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "2130706433", "0x7f000001", "017700000001",
    "[::1]", "[::]", "[fe80::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:127.0.0.1]",
    "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]",
    "localhost",
)  # fmt: skip


@pytest.mark.parametrize("host", INSIDE)
def test_nothing_inside_is_reached(host: str) -> None:
    place = place_of(f"https://{host}/hook")
    with pytest.raises((AddressRefused, OSError)):
        addresses_of(place, ())


@given(st.ip_addresses())
def test_an_address_is_called_if_it_is_public_or_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    place = place_of(f"https://{host}:8443/x?y")
    mapped = plain_address(address)
    try:
        found = addresses_of(place, ())
    except AddressRefused:
        found = []
    except OSError:
        return
    if found:
        assert mapped.is_global
        assert not mapped.is_multicast
    # Over plain HTTP there is no way but by an allowance.
    with pytest.raises(AddressRefused):
        addresses_of(place_of(f"http://{host}/"), ())
    network = networks_of(f"10.0.0.0/8, {mapped}")
    assert addresses_of(place_of(f"http://{host}/"), network)


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_callback_inside_is_refused_before_it_is_taken(scheme: str, host: str) -> None:
    assert callback_error(f"{scheme}://{host}/hook", ()) is not None


def test_a_callback_is_judged_without_resolving_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def numeric(host: str, port: int | None, type: int = 0, flags: int = 0) -> object:
        assert flags == socket.AI_NUMERICHOST or host[0].isdigit(), host
        return resolve(host, port, type=type, flags=flags)

    monkeypatch.setattr(socket, "getaddrinfo", numeric)
    allowed = networks_of("10.0.0.0/8")
    assert callback_error("https://hooks.example.org/x", ()) is None
    assert callback_error("https://8.8.8.8/x", ()) is None
    assert callback_error("http://10.1.2.3/x", allowed) is None
    # What it leads to is seen when it is sent.
    assert callback_error("http://hooks.example.org/x", allowed) is None
    for url, said in {
        "http://hooks.example.org/x": "https://",
        "ftp://hooks.example.org/x": "no URL that begins with https://",
        "https://a:b@hooks.example.org/x": "holds a password",
        "https://" + "x" * 1_000: "1,000 characters",
        "http://10.1.2.3/x": "where nothing may be sent",
        "https://a..b/x": "a host that there cannot be",
        f"https://{'x' * 64}.org/x": "a host that there cannot be",
    }.items():
        assert said in (callback_error(url, ()) or "")


@given(st.sampled_from(["", "https://", "http://", "https://["]), st.text(max_size=80))
def test_whatever_a_callback_is_there_is_an_answer(scheme: str, rest: str) -> None:
    said = callback_error(scheme + rest, ())
    assert said is None or said.strip()


def test_a_name_is_judged_by_what_it_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 443)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    # Of several addresses those alone that may be called.
    assert addresses_of(place_of("https://example.org"), ()) == ["93.184.215.14"]
    del entries[1]
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        addresses_of(place_of("https://example.org"), ())


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "ftp://example.org", "file:///etc/passwd", "https://", "https:///x",
        "https://user:secret@example.org", "https://example.org:99999", "https://exa mple.org",
        "https://example.org/\nx", "https://ex\u00e4mple.org", "https://example.org/" + "x" * 1000,
        "https://example.org*", "https://ex|ample.org/", "https://a%62c.org", "https://a\\b.org",
        "//example.org", "https://[::1", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(Invalid, match="url"):
        check_url(url)


@given(st.from_regex(URL_PATTERN, fullmatch=True), st.sampled_from("*|%<>\\^`{}"))
def test_what_the_document_says_is_taken_and_no_other_host(url: str, wrong: str) -> None:
    place_of(url)
    scheme, _, rest = url.partition("://")
    with pytest.raises(AddressRefused):
        place_of(f"{scheme}://a{wrong}{rest}")


def test_a_url_is_taken_apart() -> None:
    place = place_of("https://Example.org/a/b?c=d#e")
    assert (place.host, place.port, place.is_tls, place.target) == (
        "example.org",
        443,
        True,
        "/a/b?c=d",
    )


def test_the_setting_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTOUCHE_WEBHOOK_ALLOW", "10.0.0.0/8, fd00::/8")
    assert isinstance(load(), Settings)
    monkeypatch.setenv("CARTOUCHE_WEBHOOK_ALLOW", "intranet")
    with pytest.raises(SettingsError, match="CARTOUCHE_WEBHOOK_ALLOW"):
        load()
