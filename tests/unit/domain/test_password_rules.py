"""Which passwords are refused: length, common ones and what they are made of, one's own names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rules import passwords


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("elevenchars", "too_short"),
        ("x1" * 64 + "y", "too_long"),
        ("aaaaaaaaaaaaaaaa", "too_common"),
        ("abcabcabcabc", "too_common"),
        ("123456789012", "too_common"),
        ("98765432109876", "too_common"),
        ("482915730264", "too_common"),
        ("CorrectHorseBatteryStaple", "too_common"),
        ("Password2026!!", "too_common"),
        ("P@ssw0rd!2026", "too_common"),
        ("passwordqwerty", "too_common"),
        ("!!qwerty123456", "too_common"),
        ("zxcvbnm12345", "too_common"),
        ("1q2w3e4r5t6y", "too_common"),
        ("Summer2026!!!!", "too_common"),
        ("letmein!letmein!", "too_common"),
        ("oliviaolivia12", "too_common"),
        ("Corner Store 26", "too_common"),
        ("owner@shop.test", "too_common"),
        ("twelve chars", None),
        ("thisismypassword", None),
        ("wet owl under the 3rd bridge", None),
        ("Olivia rode home by night", None),
        ("パスワードではない長い言葉です", None),
        ("wet owl under the bridge " * 5 + "...", None),
    ],
)
def test_a_password_is_judged_by_length_and_what_it_is_made_of(password: str, problem: str | None) -> None:
    about = ("owner@shop.test", "Olivia", "Corner Store")
    assert passwords.problem(password, about) == problem


@given(st.binary(min_size=12, max_size=60))
def test_what_is_made_by_chance_is_taken(chance: bytes) -> None:
    """A manager's password: letters, digits and signs, where enough of them are letters."""
    text = "".join(chr(ord("a") + byte % 26) if byte % 4 else chr(ord("0") + byte % 10) for byte in chance)
    spread = len(set(text)) >= 10 and sum(char.isalpha() for char in text) >= 8
    made = any(piece in text for piece in passwords._PIECES) or passwords._without_runs(text) != text
    if spread and not made:
        assert passwords.problem(text) is None
