"""Settlement over Stripe: what its balance says is matched with our charges and refunds."""

from __future__ import annotations

from typing import Any

import pytest

from app import settings
from app.db import transaction
from app.kit.ids import new_id
from app.models.payments.method import PaymentMethod
from app.models.treasury.settlement import Settlement, SettlementLine
from app.services.payments import attempts, intents
from app.services.payments.intents import IntentDraft
from app.services.treasury import settlements, statements
from tests.shops import Shop
from tests.stripe_standin import StandIn
from tests.treasuries import account, days_later, give_back, job, rows, work

pytestmark = pytest.mark.usefixtures("holds")

HOUSE = "sk_test_of_the_house"


@pytest.fixture
def house(shop: Shop, standin: StandIn) -> Any:
    settings.use(settings.load(**{**settings.current().model_dump(), "stripe_secret_key": HOUSE}))
    return standin.account(HOUSE)


def test_a_day_at_stripe_is_matched_and_posted(shop: Shop, house: Any) -> None:
    method = PaymentMethod(
        id=new_id("pm"),
        tenant_id=shop.actor.tenant_id,
        mode="test",
        type="card",
        connector="stripe",
        token=house.method("pm_card_visa"),
    )
    with transaction() as db:
        db.add(method)
        method.begin(cause="tests")
    intent = intents.create(shop.actor, IntentDraft(10_000, "GBP", payment_method_id=method.id))
    assert intents.confirm(shop.actor, intent.id, nonce="n").status == "succeeded"
    charge = attempts.of_intent(shop.actor, intent.id)[0].id
    refund = give_back(shop, charge, 3_000)
    with days_later(2):
        job_id = settlements.request_sync(shop.actor, "stripe")
        work()
        assert job(shop.actor, job_id).result == {"settlements": 1, "lines": 2}
    [batch] = rows(Settlement)
    assert (batch.gross, batch.fee, batch.net) == (7_000, 320, 6_680)
    assert sorted((line.type, line.transaction_id) for line in rows(SettlementLine)) == [
        ("charge", charge),
        ("refund", refund),
    ]
    with days_later(4):
        assert statements.post_due() == 1
    assert [account(shop, f"{name}:stripe") for name in ("balance", "fees", "receivable")] == [6_680, 320, 0]
