"""The fraud rules and the arithmetic of velocity, without a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.errors import InvalidRequest
from app.domain.rules import fraud, risk_choices, velocity
from app.domain.rules.fraud import RULES, Action, Facts, evaluate

PLAIN = Facts(5000, "GBP", card_risk=12, usual_amount=4000, email_domain="example.com")


def codes(facts: Facts) -> list[str]:
    return [reason.code for reason in evaluate(facts).reasons]


def test_an_ordinary_payment_scores_nothing() -> None:
    assert evaluate(PLAIN) == fraud.Assessment(0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount": 40_000}, "amount_far_over_usual"),
        ({"card_risk": 99}, "blocked_card"),
        ({"card_risk": 90}, "highest_risk_card"),
        ({"card_risk": 70}, "elevated_risk_card"),
        ({"tries": {"card": 6}}, "card_velocity"),
        ({"tries": {"customer": 6}}, "customer_velocity"),
        ({"tries": {"email": 6}}, "email_velocity"),
        ({"tries": {"address": 11}}, "address_velocity"),
        ({"tries": {"device": 6}}, "device_velocity"),
        ({"declines": {"card": 1, "email": 3}}, "repeated_declines"),
        ({"billing_country": "GB", "shipping_country": "NG"}, "billing_shipping_mismatch"),
        ({"billing_country": "GB", "card_country": "DE"}, "card_country_mismatch"),
        ({"email_domain": "mailinator.com"}, "disposable_email"),
    ],
)
def test_each_rule_holds_by_itself_with_its_weight(change: dict[str, Any], code: str) -> None:
    found = evaluate(replace(PLAIN, **change))
    assert [reason.code for reason in found.reasons] == [code]
    assert found.score == fraud.BY_CODE[code].weight > 0


def test_every_rule_is_tried_above() -> None:
    marks = test_each_rule_holds_by_itself_with_its_weight.pytestmark  # type: ignore[attr-defined]
    assert {code for _, code in marks[0].args[1]} == {rule.code for rule in RULES}


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 39_999},
        {"amount": 10**9, "usual_amount": None},
        {"card_risk": 64},
        {"card_risk": None},
        {"tries": {"card": 5, "customer": 5, "email": 5, "device": 5, "address": 10}},
        {"declines": {"card": 2}},
        {"billing_country": "GB", "shipping_country": "GB", "card_country": None},
        {"shipping_country": "NG"},
    ],
)
def test_up_to_the_threshold_nothing_holds(change: dict[str, Any]) -> None:
    assert codes(replace(PLAIN, **change)) == []


def test_weights_add_up_to_a_hundred_at_most() -> None:
    busy = {"tries": {"customer": 9, "email": 9}, "declines": {"email": 4}}
    assert evaluate(replace(PLAIN, **busy)).score == 70
    assert evaluate(replace(PLAIN, card_risk=90, **busy)).score == 100


def test_the_vaults_opinion_counts_once() -> None:
    assert codes(replace(PLAIN, card_risk=99)) == ["blocked_card"]
    quiet = [replace(rule, weight=1) for rule in RULES]
    assert evaluate(replace(PLAIN, card_risk=99), quiet).score == 1


@pytest.mark.parametrize(
    ("score", "action"),
    [(0, "allow"), (59, "allow"), (60, "challenge"), (89, "challenge"), (90, "deny"), (100, "deny")],
)
def test_two_marks_make_three_actions(score: int, action: str) -> None:
    assert fraud.action_for(score, 60, 90) == Action(action)


def test_mail_boxes_are_counted_without_tag_and_case() -> None:
    assert fraud.same_mailbox(" Ann+shop@Example.com ") == "ann@example.com"
    assert fraud.email_domain("Ann@Example.COM") == "example.com"
    assert fraud.email_domain("nobody") is None
    assert fraud.email_domain(None) is None


numbers = st.integers(0, 200)


@example(0, 5, 4, 60, 0.0)  # free at the very second 12: a twelfth would be too soon
@given(numbers, numbers, st.integers(1, 50), st.sampled_from([1, 60, 3600]), st.floats(0, 0.999))
def test_after_the_wait_one_more_fits(
    current: int, before: int, limit: int, window: int, part: float
) -> None:
    now = part * window

    def fits(at: float) -> bool:
        rolled, inside = divmod(at, window)
        pair = {0: (current, before), 1: (0, current)}.get(int(rolled), (0, 0))
        return velocity.sliding(pair[0] + 1, pair[1], now=inside, start=0, window_seconds=window) <= limit

    if fits(now):
        return
    wait = velocity.wait_seconds(current, before, limit, now=now, start=0, window_seconds=window)
    assert wait >= 1
    assert fits(now + wait)
    assert wait == 1 or not fits(now + wait - 1.01)


@given(numbers, numbers, st.floats(0, 120))
def test_the_sliding_window_never_holds_less_than_this_one_nor_more_than_both(
    current: int, before: int, at: float
) -> None:
    found = velocity.sliding(current, before, now=at, start=0, window_seconds=60)
    assert current <= found <= current + before


@pytest.mark.parametrize(
    "choices",
    [
        {"fraud": {"challenge_from": 50, "deny_from": 80, "on_failure": "deny"}},
        {"fraud": {"rules": {"disposable_email": {"weight": 0}, "card_velocity": {"threshold": 2}}}},
        {"fraud": {"provider": "http", "url": "https://fraud.example.com/score"}},
        {"velocity": [{"scope": "card", "max_count": 3, "window_seconds": 60}]},
        {"velocity": []},
        {"three_ds_policy": "never", "max_authorization_amount": None, "anything_else": 1},
    ],
)
def test_choices_that_can_be(choices: dict[str, Any]) -> None:
    risk_choices.check(choices)


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"fraud": []}, "fraud"),
        ({"fraud": {"mark": 1}}, "fraud.mark"),
        ({"fraud": {"challenge_from": 95}}, "fraud.challenge_from"),
        ({"fraud": {"deny_from": True}}, "fraud.deny_from"),
        ({"fraud": {"on_failure": "pray"}}, "fraud.on_failure"),
        ({"fraud": {"provider": "http"}}, "fraud.url"),
        ({"fraud": {"provider": "http", "url": "ftp://example.com"}}, "fraud.url"),
        ({"fraud": {"rules": {"moon": {}}}}, "fraud.rules.moon"),
        ({"fraud": {"rules": {"card_velocity": {"weight": 101}}}}, "fraud.rules.card_velocity.weight"),
        ({"fraud": {"rules": {"card_velocity": {"enabled": 1}}}}, "fraud.rules.card_velocity.enabled"),
        ({"velocity": {}}, "velocity"),
        ({"velocity": [{"scope": "planet", "max_count": 1, "window_seconds": 1}]}, "velocity.0.scope"),
        ({"velocity": [{"scope": "card", "window_seconds": 60}]}, "velocity.0"),
        ({"velocity": [{"scope": "card", "max_count": 1}]}, "velocity.0"),
        (
            {"velocity": [{"scope": "card", "max_count": 1, "window_seconds": 86_401}]},
            "velocity.0.window_seconds",
        ),
        ({"three_ds_policy": "sometimes"}, "three_ds_policy"),
        ({"max_authorization_amount": 0}, "max_authorization_amount"),
        ({"max_confirms_per_session": "5"}, "max_confirms_per_session"),
    ],
)
def test_choices_that_cannot_be_are_named(choices: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        risk_choices.check(choices)
    assert refused.value.field == field
