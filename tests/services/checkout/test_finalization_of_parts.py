"""Finalising and rolling back what several instruments pay: cards in parts, gift cards beside them."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidState
from app.services.checkout import payment, split_runs, stored_value
from app.services.checkout.finalization import finalize
from app.services.checkout.rollback import roll_back
from app.services.payments import refunds
from tests import catalogue, finalizations
from tests.finalizations import charges, orders
from tests.services.checkout.test_splits import Paid
from tests.shops import Shop, later

pytestmark = pytest.mark.usefixtures("holds")


def recover() -> None:
    """What the worker does over the next half hour."""
    for seconds in (31, 120, 600, 1900):
        with later(seconds):
            payment.sweep()
            split_runs.sweep()
            refunds.sweep()
            finalizations.work()


def test_a_gift_card_is_taken_with_the_sale_and_restored_with_its_undoing(shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 1000)
    session = shop.session(hosted=False)
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    shop.pay(session)
    done = finalize(shop.actor, session.id)
    assert (charges(), catalogue.on_card(shop, "GIFT-1234")) == ([("captured", 620, 0)], (0, 0))
    assert orders(session) == [(done.order_id, "paid")]
    assert finalizations.receipts(session)[0].amount == 620
    _, run = roll_back(shop.actor, session.id)
    assert next(step for step in run.steps if step["step"] == "wallet")["status"] == "done"
    assert (charges(), catalogue.on_card(shop, "GIFT-1234")) == ([("captured", 620, 620)], (1000, 0))


def test_a_gift_card_that_covers_everything_needs_no_payment(shop: Shop) -> None:
    catalogue.gift_card(shop, "GIFT-1234", 5000)
    session = shop.session(hosted=False)
    stored_value.apply_gift_card(shop.actor, session.id, "GIFT-1234")
    assert finalize(shop.actor, session.id).order_id is not None
    assert (charges(), catalogue.on_card(shop, "GIFT-1234")) == ([], (3380, 0))
    assert roll_back(shop.actor, session.id)[1].status == "undone"
    assert catalogue.on_card(shop, "GIFT-1234") == (5000, 0)


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_a_payment_in_parts_is_captured_sold_and_sent_back(shop: Shop, mode: str) -> None:
    paid = Paid(shop, options={"capture_mode": mode})
    paid.confirm()
    done = finalize(shop.actor, paid.session.id)
    assert orders(paid.session) == [(done.order_id, "paid")]
    assert sorted(charges()) == [("captured", 620, 0), ("captured", 1000, 0)]
    assert finalizations.receipts(paid.session)[0].amount == 1620
    roll_back(shop.actor, paid.session.id)
    recover()
    assert finalizations.run(paid.session).status == "undone"
    assert sorted(charges()) == [("captured", 620, 620), ("captured", 1000, 1000)]


def test_parts_that_are_held_are_released(shop: Shop) -> None:
    paid = Paid(shop, options={"capture_mode": "manual"})
    paid.confirm()
    roll_back(shop.actor, paid.session.id)
    recover()
    assert finalizations.run(paid.session).status == "undone"
    assert charges() == [("voided", 0, 0), ("voided", 0, 0)]
    with pytest.raises(InvalidState):
        finalize(shop.actor, paid.session.id)
