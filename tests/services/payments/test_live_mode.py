"""Live mode: the sandbox moves no money there, and no page offers what only the sandbox takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from app.connectors.sandbox import book
from app.db import reading
from app.domain.actor import Actor, Mode
from app.services.checkout import payments
from app.services.checkout.payment import Order
from app.services.payments import attempts, intents, offers
from app.services.payments.intents import IntentDraft
from tests.accounts import account, logged
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


@pytest.fixture
def live(shop: Shop) -> Actor:
    """The merchant's server, with a key for live mode."""
    return replace(shop.actor, mode=Mode.LIVE)


def test_a_sandbox_account_in_live_mode_approves_nothing(live: Actor) -> None:
    """Its bank's page is open to everybody: a live payment would be made by a click."""
    made = account(live)
    intent = intents.create(live, IntentDraft(5000, "GBP"))
    after, attempt = payments.initiate_apm(live, "ideal", intent.id, Order("n1"))
    assert (after.status, after.next_action) == ("requires_payment_method", None)
    assert attempts.load(attempt.id)[0].decline_code == "gateway_unavailable"
    assert [row.outcome for row in logged(live, made.id)] == ["not_executed"]
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(book.payments)) == 0


def test_nothing_is_offered_in_live_mode_that_only_the_sandbox_takes(live: Actor) -> None:
    wanted = ["card", "ideal", "paypal", "promptpay"]
    assert offers.of(live, wanted) == offers.Offer([], card_form=False)
    test = replace(live, mode=Mode.TEST)
    assert offers.of(test, wanted) == offers.Offer(wanted, card_form=True)
