"""Addresses that Till may connect to: no private, mapped, translated or reserved one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.http import AddressRefused, address_allowed, check_url

INSIDE_4 = st.one_of(
    st.ip_addresses(network=network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "0.0.0.0/8",
        "127.0.0.0/8",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "198.18.0.0/15",
        "192.0.2.0/24",
    )
)
INSIDE_6 = st.one_of(
    st.ip_addresses(network=network)
    for network in (
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "100::/64",
        "3fff::/20",
        "5f00::/16",
        "4000::/3",
        "::ffff:0:0:0/96",
    )
)


@given(INSIDE_4)
def test_no_inner_address_gets_through_in_any_dress(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    dresses = [
        address,
        *(ipaddress.IPv6Address(prefix | number) for prefix in (0xFFFF << 32, 0xFFFF << 48, 0x64FF9B << 96)),
    ]
    dresses.append(ipaddress.IPv6Address(0x2002 << 112 | number << 80))
    assert not [str(each) for each in dresses if address_allowed(str(each))]


@given(INSIDE_6)
def test_no_special_ipv6_address_gets_through(address: ipaddress.IPv6Address) -> None:
    assert not address_allowed(str(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]
)
def test_public_addresses_get_through(address: str) -> None:
    assert address_allowed(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "http://",
        "http:///path",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "javascript:alert(1)",
        "http://user@example.com",
        "http://user:word@example.com",
        "http://example.com\\@inside",
        "http://exa mple.com",
        "http://example.com\r\nX: y",
        "http://example.com:0",
        "http://example.com:65536",
        "http://example.com:x",
        "http://[::1",
        "http://example.com/\x7f",
    ],
)
def test_odd_urls_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://example.com:8080/a?b=c#d", "https://[2606:4700::1111]/"]
)
def test_plain_urls_pass(url: str) -> None:
    check_url(url)
