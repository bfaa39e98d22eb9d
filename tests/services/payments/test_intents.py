"""Intents that stand alone: manual capture, cancel in each state, repeats."""

from __future__ import annotations

import pytest

from app.connectors.sandbox import challenges
from app.domain.errors import Conflict, InvalidState, Unprocessable
from app.services.checkout import payment
from app.services.payments import attempts, intents, methods
from app.services.payments.intents import IntentDraft
from tests.shops import CHALLENGED, GOOD, TIMES_OUT_AFTER, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds")


def confirmed(shop: Shop, number: str = GOOD, mode: str = "manual", nonce: str = "n1") -> str:
    method = methods.tokenize_card(shop.actor, card(number))
    intent = intents.create(
        shop.actor, IntentDraft(5000, "GBP", capture_mode=mode, payment_method_id=method.id)
    )
    intents.confirm(shop.actor, intent.id, nonce=nonce)
    return intent.id


def test_manual_capture_takes_a_part_once(shop: Shop) -> None:
    intent_id = confirmed(shop)
    assert intents.get(shop.actor, intent_id).status == "requires_capture"
    with pytest.raises(Unprocessable):
        intents.capture(shop.actor, intent_id, 5001)
    done = intents.capture(shop.actor, intent_id, 2000)
    assert (done.status, done.amount_captured) == ("succeeded", 2000)
    with pytest.raises(InvalidState):
        intents.capture(shop.actor, intent_id, 1000)


def test_automatic_capture_succeeds_at_once(shop: Shop) -> None:
    assert intents.get(shop.actor, confirmed(shop, mode="auto")).status == "succeeded"


def test_canceling_an_authorisation_releases_it(shop: Shop) -> None:
    intent_id = confirmed(shop)
    assert intents.cancel(shop.actor, intent_id, "user_cancel").status == "canceled"
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "voided"


def test_canceling_during_three_ds_withdraws_it_at_the_bank(shop: Shop) -> None:
    intent_id = confirmed(shop, CHALLENGED)
    action = intents.get(shop.actor, intent_id).next_action
    assert action is not None
    assert intents.cancel(shop.actor, intent_id, "user_cancel").status == "canceled"
    found = challenges.answer(str(action["url"]).rsplit("/", 1)[1], "123456")
    assert found is not None and not found.open
    assert intents.get(shop.actor, intent_id).status == "canceled"


def test_a_cancel_while_unknown_is_carried_out_when_it_is_known(shop: Shop) -> None:
    intent_id = confirmed(shop, TIMES_OUT_AFTER)
    assert intents.cancel(shop.actor, intent_id, "timeout").status == "processing"
    with later(40):
        payment.sweep()
    assert intents.get(shop.actor, intent_id).status == "canceled"
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "voided"


def test_a_succeeded_intent_cannot_be_canceled(shop: Shop) -> None:
    intent_id = confirmed(shop, mode="auto")
    with pytest.raises(InvalidState):
        intents.cancel(shop.actor, intent_id, "fraud")


def test_confirming_twice_is_refused_or_repeated_by_its_nonce(shop: Shop) -> None:
    intent_id = confirmed(shop)
    method_id = intents.get(shop.actor, intent_id).payment_method_id
    intents.confirm(shop.actor, intent_id, nonce="n1", method_id=method_id)
    with pytest.raises(Conflict):
        intents.confirm(shop.actor, intent_id, nonce="n2", method_id=method_id)
    assert len(attempts.of_intent(shop.actor, intent_id)) == 1


def test_an_authorisation_that_nobody_captures_is_released_when_it_lapses(shop: Shop) -> None:
    intent_id = confirmed(shop)
    with later(8 * 24 * 3600):
        payment.sweep()
    intent = intents.get(shop.actor, intent_id)
    assert (intent.status, intent.cancel_reason) == ("canceled", "expired")
    assert attempts.of_intent(shop.actor, intent_id)[0].status == "auth_expired"
