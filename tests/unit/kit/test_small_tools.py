"""The clock, cursors, canonical JSON and QR codes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit import clock, qr
from app.kit.canonical import canonical_bytes, fingerprint
from app.kit.ids import new_id
from app.kit.pagination import Page, decode_cursor, encode_cursor

NOON = datetime(2025, 8, 29, 12, tzinfo=UTC)


def test_a_stopped_clock_inside_another_gives_the_outer_time_back() -> None:
    with clock.frozen(NOON):
        with clock.frozen(NOON + timedelta(days=1)):
            assert clock.now() == NOON + timedelta(days=1)
        assert clock.now() == NOON
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_clock_goes_on_when_a_test_breaks_off() -> None:
    with pytest.raises(ZeroDivisionError), clock.frozen(NOON):
        _ = 1 / 0
    assert clock.now() > NOON + timedelta(days=1)


def test_instants_are_written_in_utc_and_whole_seconds() -> None:
    assert clock.to_rfc3339(NOON.replace(microsecond=999_999)) == "2025-08-29T12:00:00Z"
    assert (
        clock.to_rfc3339(NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2025-08-29T12:00:00Z"
    )


@given(st.from_regex(r"[a-z]{2,5}_[0-9a-z]{26}", fullmatch=True))
def test_a_cursor_leads_back_to_its_row(row_id: str) -> None:
    cursor = encode_cursor(row_id)
    assert row_id not in cursor
    assert cursor.isascii()
    assert decode_cursor(cursor) == row_id


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_a_cursor(text: str) -> None:
    found = decode_cursor(text)
    assert found is None or found.replace("_", "").isalnum()


def test_the_last_page_has_no_cursor() -> None:
    assert not Page([1, 2]).has_more
    assert Page([1, 2], encode_cursor(new_id("pi"))).has_more


def test_equal_values_have_equal_fingerprints() -> None:
    assert canonical_bytes({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    different: list[Any] = [{"a": 1}, {"a": "1"}, {"a": True}, {"a": [1]}, {"a": None}, {}, [], None, "a"]
    assert len({fingerprint(value) for value in different}) == len(different)


def test_a_qr_code_says_what_it_is_and_carries_no_inline_style() -> None:
    drawn = qr.svg("https://example.com/l/tea", title='Pay "Tea & Co" <£5>')
    root = ET.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Pay "Tea & Co" <£5>'
    assert root.get("viewBox")
    assert "style" not in drawn
    assert "<script" not in drawn


def test_a_png_grows_with_its_scale() -> None:
    small, large = qr.png("https://example.com", scale=2), qr.png("https://example.com", scale=8)
    assert small.startswith(b"\x89PNG\r\n\x1a\n")
    width = [int.from_bytes(image[16:20], "big") for image in (small, large)]
    assert width[1] == 4 * width[0]
