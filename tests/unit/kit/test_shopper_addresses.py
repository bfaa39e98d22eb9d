"""How shoppers' addresses are counted and shown: nobody is named, proxies say nothing."""

from __future__ import annotations

import pytest

from app.kit import addresses


@pytest.mark.parametrize(
    ("address", "counted", "shown"),
    [
        ("81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("::ffff:81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("2a02:8070:1:2:3:4:5:6", "2a02:8070:1:2::/64", "2a02:8070:1::/48"),
        ("127.0.0.1", None, "127.0.0.0/24"),
        ("10.1.2.3", None, "10.1.2.0/24"),
        ("100.64.1.1", None, "100.64.1.0/24"),
        ("::1", None, "::/48"),
        ("fe80::1", None, "fe80::/48"),
        ("unknown", None, None),
        ("", None, None),
    ],
)
def test_addresses(address: str, counted: str | None, shown: str | None) -> None:
    assert addresses.counted(address) == counted
    assert addresses.shortened(address) == shown


@pytest.mark.parametrize(
    ("reported", "alone"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("2001:db8::7:4711", "2001:db8::7:4711"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("unknown", "unknown"),
        ("a:b", "a:b"),
    ],
)
def test_a_port_is_no_part_of_an_address(reported: str, alone: str) -> None:
    assert addresses.without_port(reported) == alone


def test_callers_are_told_apart_by_their_line_wherever_they_are() -> None:
    told = {"fe80::1": "fe80::/64", "::ffff:10.1.2.3": "10.1.2.3", "127.0.0.1": "127.0.0.1", "?": "?"}
    assert {address: addresses.line(address) for address in told} == told
