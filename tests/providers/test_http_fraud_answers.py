"""What a merchant's fraud service may answer, and everything else, which is no answer.

What is no JSON object at all is refused for every system alike (test_remote_caller.py).
"""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.rules.fraud import Action, Assessment, Reason
from app.providers.base import FraudProviderFailed
from app.providers.remote import fraud
from tests.shops import GOOD


def test_a_score_is_enough_and_the_rest_is_kept_short() -> None:
    assert fraud._read({"score": 7}) == Assessment(7)
    full = {"score": 7, "action": "deny", "reasons": [{"code": "x" * 99}], "more": 1}
    assert fraud._read(full) == Assessment(7, (Reason("x" * 48, 0, ""),), Action.DENY)
    many = {"score": 7, "reasons": [{"code": "a"}] * 99}
    assert len(fraud._read(many).reasons) == fraud.MAX_REASONS


def test_a_card_number_among_its_words_is_not_kept() -> None:
    told = {"score": 7, "reasons": [{"code": GOOD, "text": f"{GOOD} was tried 9 times", "weight": 7}]}
    assert fraud._read(told).reasons == (Reason("card", 7, ""),)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"score": 101},
        {"score": -1},
        {"score": True},
        {"score": 1.5},
        {"score": "7"},
        {"score": None},
        {"score": 1, "action": "perhaps"},
        {"score": 1, "action": []},
        {"score": 1, "reasons": [1]},
        {"score": 1, "reasons": 1},
        {"score": 1, "reasons": [{"text": "no code"}]},
        {"score": 1, "reasons": [{"code": "a", "weight": "much"}]},
    ],
)
def test_anything_else_is_no_answer(answer: Any) -> None:
    with pytest.raises(FraudProviderFailed, match="answered something else"):
        fraud._read(answer)
