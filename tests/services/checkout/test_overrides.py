"""Failed checkouts that a person completes: with the payment that was kept, or one that came elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from app.db import reading, transaction
from app.domain.errors import Conflict, InvalidState
from app.models.catalogue.stock import StockItem
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.providers import registry
from app.providers.base import OrderRefused, OrdersUnavailable
from app.services.checkout import (
    finalization,
    links,
    payments,
    resolutions,
    reviewing,
    rollback,
    sale,
    sessions,
)
from app.services.checkout.links import LinkDraft
from app.services.checkout.prerequisites import FinalizationFailed
from app.services.checkout.resolutions import DISCOUNT, OVERRIDE, REPLACE, Resolution
from app.services.payments import refunds
from tests import finalizations
from tests.buyers import together
from tests.catalogue import coupon, uses
from tests.failures import failed, strict, told
from tests.finalizations import OrderService, charges, fails, orders, ready, work
from tests.shops import GOOD, NO_FUNDS, Shop, later

pytestmark = pytest.mark.usefixtures("holds")


def override(shop: Shop, session: CheckoutSession) -> CheckoutSession:
    return resolutions.resolve(shop.actor, session.id, Resolution(OVERRIDE, note="paid in the shop"))


def on_hand(units: int) -> None:
    with transaction() as db:
        db.query(StockItem).update({"on_hand": units})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> OrderService:
    """An Order Service elsewhere, which this merchant uses."""
    made = OrderService()
    monkeypatch.setattr(registry, "orders", lambda tenant: made)
    return made


@pytest.fixture
def kept(shop: Shop) -> CheckoutSession:
    """A checkout that was sold out when its payment came, and whose refund was called off."""
    session = shop.session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sale.reservations, "commit", _sold_out)
        assert shop.pay(session).status == "failed"
    [refund] = refunds.of_intent(shop.actor, shop.intent(session).id)
    refunds.cancel(shop.actor, refund.id)
    return shop.read(session)


def _sold_out(*_: Any, **__: Any) -> None:
    raise Conflict("Some of it is no longer in stock", code="inventory_shortfall")


@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_a_checkout_under_review_is_completed_by_nobody(shop: Shop, status: str) -> None:
    session = failed(shop)
    with transaction() as db:
        db.get_one(CheckoutSession, session.id).review = {"status": status}
    with pytest.raises(Conflict) as refused:
        override(shop, session)
    assert refused.value.code == f"manual_review_{status}"
    assert (shop.read(session).status, orders(session)) == ("failed", [])


def test_a_sale_that_was_paid_elsewhere_has_an_order_and_no_payment_of_ours(shop: Shop) -> None:
    session = failed(shop)
    done = override(shop, session)
    assert (done.status, done.failure_reason, done.failed_at) == ("completed", None, None)
    assert (done.payment_intent_id, orders(session)) == (None, [(done.order_id, "paid")])
    assert [row.id for row in finalizations.receipts(session)] == [done.receipt_id]
    assert shop.left("MUG") == (99, 0, 1)
    assert all(captured == 0 for _, captured, _ in charges())
    types = finalizations.told(shop, session)
    assert types.count("checkout.completed") == types.count("checkout.session.completed") == 1
    [entry] = told(shop, session, resolutions.RESOLVED)
    assert (entry.cause, entry.data["after"]["note"]) == (OVERRIDE, "paid in the shop")
    assert finalization.finalize(shop.actor, session.id).order_id == done.order_id
    with pytest.raises(InvalidState):
        override(shop, session)


def test_it_can_be_rolled_back_and_opened_again(shop: Shop) -> None:
    session = failed(shop)
    override(shop, session)
    rolled, _ = rollback.roll_back(shop.actor, session.id)
    assert (rolled.status, shop.left("MUG")) == ("failed", (100, 0, 0))
    opened = resolutions.resolve(shop.actor, session.id, Resolution(DISCOUNT, percent=10))
    assert (opened.status, opened.order_id, opened.receipt_id) == ("collecting", None, None)
    assert shop.pay(session, GOOD, "again").status == "completed"
    assert [status for _, status in orders(session)] == ["cancelled", "paid"]


def test_a_payment_that_was_kept_pays_for_the_sale_once(shop: Shop, kept: CheckoutSession) -> None:
    assert (kept.status, charges()) == ("failed", [("captured", 1620, 0)])
    for action, more in ((REPLACE, {}), (DISCOUNT, {"amount": 100})):
        with pytest.raises(Conflict) as refused:
            resolutions.resolve(shop.actor, kept.id, Resolution(action, **more))
        assert refused.value.code == "payment_not_returned"
    done = override(shop, kept)
    assert (done.status, done.payment_intent_id) == ("completed", kept.payment_intent_id)
    assert orders(kept) == [(done.order_id, "paid")]
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 0)], (99, 0, 1))
    assert finalizations.receipts(kept)[0].content["payment"]["last4"] == "4242"


def test_a_payment_that_goes_back_pays_for_nothing(shop: Shop, kept: CheckoutSession) -> None:
    assert kept.payment_intent_id is not None
    refunds.create(shop.actor, kept.payment_intent_id, 100)
    with pytest.raises(Conflict) as refused:
        override(shop, kept)
    assert refused.value.code == "payment_not_returned"
    assert (shop.read(kept).status, orders(kept), shop.left("MUG")[2]) == ("failed", [], 0)
    refunds.create(shop.actor, kept.payment_intent_id)
    work()
    assert override(shop, kept).payment_intent_id is None
    assert charges() == [("captured", 1620, 1620)]


def test_goods_that_are_gone_leave_it_failed(shop: Shop) -> None:
    session = failed(shop)
    on_hand(0)
    with pytest.raises(Conflict) as refused:
        override(shop, session)
    assert refused.value.code == "inventory_shortfall"
    assert (shop.read(session).version, orders(session)) == (session.version, [])
    on_hand(100)
    assert override(shop, session).status == "completed"


def test_of_sixteen_who_override_one_makes_the_order(shop: Shop) -> None:
    session = failed(shop)
    answers = together(16, lambda _: override(shop, session))
    assert len([answer for answer in answers if isinstance(answer, InvalidState)]) == 15, answers
    assert (len(orders(session)), shop.left("MUG")) == (1, (99, 0, 1))
    assert len(told(shop, session, resolutions.RESOLVED)) == 1


def test_of_an_override_and_a_reopening_one_happens(shop: Shop) -> None:
    session = failed(shop)

    def one(number: int) -> Any:
        if number % 2:
            return override(shop, session)
        return resolutions.resolve(shop.actor, session.id, Resolution(REPLACE))

    answers = together(8, one)
    assert len([answer for answer in answers if not isinstance(answer, Exception)]) == 1
    assert len(told(shop, session, resolutions.RESOLVED)) == 1


def test_a_use_of_a_code_is_counted_while_there_is_one(shop: Shop) -> None:
    coupon(shop, usage_limit=1)
    first, second = (failed(shop, promotion_codes=("SAVE10",)) for _ in range(2))
    assert override(shop, first).grand_total == first.grand_total
    assert uses(shop) == (0, 1)
    done = override(shop, second)
    assert (done.status, done.grand_total) == ("completed", second.grand_total), "at the total that it had"
    assert uses(shop) == (0, 1)
    rollback.roll_back(shop.actor, second.id)
    assert uses(shop) == (0, 1)
    rollback.roll_back(shop.actor, first.id)
    assert uses(shop) == (0, 0)


def test_a_use_of_a_link_is_counted(shop: Shop) -> None:
    made = links.create(shop.actor, LinkDraft("One", "GBP", slug="one", amount=1500, usage_limit=1))
    session = links.pay("one")
    strict(shop).pay(session, NO_FUNDS)
    override(shop, session)
    link = links.get(shop.actor, made.id)
    assert (link.held, link.used) == (0, 1)


def test_an_order_service_elsewhere_is_told_and_waited_for(shop: Shop, service: OrderService) -> None:
    session = failed(shop)
    service.next = [fails(OrdersUnavailable("away"))]
    assert override(shop, session).status == "failed"
    for action in (OVERRIDE, REPLACE):
        with pytest.raises(InvalidState):
            resolutions.resolve(shop.actor, session.id, Resolution(action, note="again"))
    with later(60):
        work()
    done = shop.read(session)
    assert (done.status, done.order_id) == ("completed", "shop-1")
    assert shop.left("MUG") == (99, 0, 1)
    assert len({asked["key"] for asked in service.asked}) == 1


def test_what_is_being_completed_is_not_canceled_meanwhile(shop: Shop, service: OrderService) -> None:
    session = failed(shop)
    service.next = [fails(OrdersUnavailable("away"))]
    assert override(shop, session).status == "failed"
    with pytest.raises(InvalidState):
        sessions.cancel(shop.actor, session.id)
    with transaction() as db:
        row = db.get_one(CheckoutSession, session.id)
        reviewing.turn_away(db, row, shop.actor.tenant, cause="fraud_provider")
    with later(60):
        work()
        work()
    done = shop.read(session)
    assert (done.status, done.order_id, shop.left("MUG")) == ("completed", "shop-1", (99, 0, 1))
    with later(3600):
        work()
    assert len(told(shop, session, "checkout.rejected_too_late")) == 1


def test_an_order_that_is_refused_leaves_a_payment_to_a_person(shop: Shop, service: OrderService) -> None:
    session = ready(shop, "manual")
    payments.capture(shop.actor, shop.intent(session).id)
    service.next = [fails(OrderRefused("no"))]
    with pytest.raises(FinalizationFailed):
        finalization.finalize(shop.actor, session.id)
    assert shop.left("MUG") == (99, 0, 1)
    with pytest.raises(Conflict) as refused:
        resolutions.resolve(shop.actor, session.id, Resolution(REPLACE))
    assert refused.value.code == "rollback_required"
    service.next = [fails(OrderRefused("still no"))]
    assert (override(shop, session).status, shop.read(session).failure_reason) == ("failed", "validation")
    done = override(shop, session)
    assert (done.status, done.order_id) == ("completed", "shop-3")
    assert (charges(), shop.left("MUG")) == ([("captured", 1620, 0)], (99, 0, 1))
    with reading() as db:
        mine = PaymentIntent.checkout_id == session.id
        assert db.scalar(select(func.count()).select_from(PaymentIntent).where(mine)) == 1
