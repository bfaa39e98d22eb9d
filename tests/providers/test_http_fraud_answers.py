"""What a merchant's fraud service may answer, and everything else, which is no answer."""

from __future__ import annotations

import pytest

from app.domain.rules.fraud import Action, Assessment, Reason
from app.providers.base import FraudProviderFailed
from app.providers.remote import fraud


def test_a_score_is_enough_and_the_rest_is_kept_short() -> None:
    assert fraud._read(b'{"score": 7}') == Assessment(7)
    full = b'{"score": 7, "action": "deny", "reasons": [{"code": "%s"}], "more": 1}' % (b"x" * 99)
    assert fraud._read(full) == Assessment(7, (Reason("x" * 48, 0, ""),), Action.DENY)
    many = b'{"score": 7, "reasons": [' + b",".join([b'{"code": "a"}'] * 99) + b"]}"
    assert len(fraud._read(many).reasons) == fraud.MAX_REASONS


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"7",
        b"\xff",
        b"{}",
        b'{"score": 101}',
        b'{"score": -1}',
        b'{"score": true}',
        b'{"score": 1.5}',
        b'{"score": NaN}',
        b'{"score": "7"}',
        b'{"score": 1, "action": "perhaps"}',
        b'{"score": 1, "action": []}',
        b'{"score": 1, "reasons": [1]}',
        b'{"score": 1, "reasons": 1}',
        b'{"score": 1, "reasons": [{"text": "no code"}]}',
        b'{"score": 1, "reasons": [{"code": "a", "weight": "much"}]}',
        b'{"score": 1, "reasons": [{"code": "a", "weight": 1e999}]}',
        b"[" * 60_000,
    ],
)
def test_anything_else_is_no_answer(answer: bytes) -> None:
    with pytest.raises(FraudProviderFailed, match="answered something else"):
        fraud._read(answer)
