"""Ids: their form, their order, and that none comes twice."""

from __future__ import annotations

import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit import ids

FORM = re.compile(r"[0-9a-hjkmnp-tv-z]{26}\Z")


@given(st.sampled_from(["chk", "pi", "evt"]), st.integers(1, 50))
def test_later_ids_sort_after_earlier_ones(prefix: str, count: int) -> None:
    made = [ids.new_id(prefix) for _ in range(count)]
    assert made == sorted(set(made))
    assert all(FORM.match(each.removeprefix(f"{prefix}_")) for each in made)


def test_ids_stay_in_order_when_the_machine_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids.new_id("pi")
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000_000_000_000_000)
    assert ids.new_id("pi") > before


def test_ids_made_at_once_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [
            each
            for batch in pool.map(lambda _: [ids.new_id("x") for _ in range(500)], range(8))
            for each in batch
        ]
    assert len(set(made)) == 4000


def test_an_id_tells_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(time, "time_ns", lambda: 1_469_918_176_385 * 1_000_000)
    assert ids.new_id("x").startswith("x_01aryz6s41"), "the sample of the ULID specification"


def test_uuids_are_version_7_and_tell_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(ids.new_uuid())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_an_id_is_always_the_same_uuid() -> None:
    first, second = ids.new_id("usr"), ids.new_id("usr")
    made = uuid.UUID(ids.uuid_of(first))
    assert (made.version, made.variant, str(made)) == (8, uuid.RFC_4122, ids.uuid_of(first))
    assert ids.uuid_of(second) != str(made)
    assert ids.uuid_of(str(made)) == str(made)
    assert [ids.uuid_of(text) for text in ("", "public", "usr_1", "usr_" + "u" * 26)] == [None] * 4


def test_tokens_are_long_and_url_safe() -> None:
    made = {ids.random_token(32) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", each) for each in made)
