"""Strict JSON: what is refused, and at which place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit.strict_json import MAX_DEPTH, StrictJsonError, loads

#: JSON as a careful client sends it, in every size that the two parsers share.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=1)), inner)
    ),
    max_leaves=60,
)


@given(VALUES, st.booleans())
def test_what_is_good_comes_out_as_it_went_in(value: Any, escaped: bool) -> None:
    assert loads(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_parsed_or_refused_in_one_way(raw: bytes) -> None:
    try:
        value = loads(raw)
    except StrictJsonError:
        return
    assert value == json.loads(raw)


@pytest.mark.parametrize(
    ("body", "pointer", "reason"),
    [
        (b'{"a": NaN}', "/a", "NaN"),
        (b'{"a": [1, -Infinity]}', "/a/1", "-Infinity"),
        (b'{"a": 1e999}', "/a", "out of range"),
        (b'{"a": -1e400}', "/a", "out of range"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "/x/a", "twice"),
        (b'[{"a/b": 1, "a/b": 1}]', "/0/a~1b", "twice"),
        (b'{"~": "\\ud800"}', "/~0", "half a character"),
        (b'{"a": "\\uDFFF x"}', "/a", "half a character"),
        (b'{"\\ud800": 1}', "/?", "half a character"),
        (b'{"a": "x\\u0000y"}', "/a", "NUL"),
        (b'{"a\\u0000": 1}', "/a\x00", "NUL"),
        (b'{"amount": 9223372036854775808}', "/amount", "out of range"),
        (b'{"amount": -9223372036854775808}', "/amount", "out of range"),
        (b'{"amount": %s}' % (b"9" * 5000), "/amount", "out of range"),
        (b'{"a": "\xff"}', "", "UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "", "UTF-8"),
        (b"", "", "not valid"),
        (b"{", "", "not valid"),
        (b"{'a': 1}", "", "not valid"),
        (b'{"a": 1,}', "", "not valid"),
        (b'{"a": 01}', "", "not valid"),
        (b'{"a": "tab\there"}', "", "not valid"),
        (b'\xef\xbb\xbf{"a": 1}', "", "not valid"),
        (b"[" * 100_000, "", "nested"),
    ],
)
def test_what_is_ambiguous_or_hostile_is_refused(body: bytes, pointer: str, reason: str) -> None:
    with pytest.raises(StrictJsonError) as refused:
        loads(body)
    assert refused.value.pointer == pointer
    assert reason in refused.value.reason


def test_the_depth_is_counted_and_not_the_brackets() -> None:
    deepest = b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH
    assert loads(deepest)
    with pytest.raises(StrictJsonError) as refused:
        loads(b"[" + deepest + b"]")
    assert refused.value.pointer == "/0" * (MAX_DEPTH + 1)
    assert loads(json.dumps([{"n": n} for n in range(500)]).encode())[499] == {"n": 499}
    assert loads(json.dumps({"note": "[" * 500}).encode()) == {"note": "[" * 500}


def test_numbers_keep_their_kind() -> None:
    value = loads(b'{"a": 1020.0, "b": 1020, "c": 9223372036854775807, "d": 1e2}')
    assert [type(number) for number in value.values()] == [float, int, int, float]
    assert value["c"] == 2**63 - 1


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert loads(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}
