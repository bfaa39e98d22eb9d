"""Home says how the shop is doing: over the days that are chosen, in the currency that is chosen, and no other's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.db import transaction
from app.kit import clock
from app.kit.ids import new_id
from app.models.events.delivery import Delivery
from app.models.events.webhook_endpoint import WebhookEndpoint
from app.models.payments.dispute import Dispute
from app.providers.base import CartLine, CartSnapshot
from app.services.events import failing, webhooks
from app.services.operations import metrics
from app.services.payments import attempts, dispute_lookups, disputes, refunds
from app.services.payments.disputes import DisputeDraft
from tests import shops
from tests.desk import Desk
from tests.shops import NO_FUNDS, Shop


def sold(shop: Shop, price: int, days: int = 0, number: str = shops.GOOD, currency: str = "GBP") -> str:
    """The payment of a checkout, so many days ago."""
    cart = CartSnapshot(currency, (CartLine("line_1", "BOX", "Box", 1, price),))
    with clock.frozen(clock.now() - timedelta(days=days)):
        session = shops.sessions.create(
            shop.actor,
            shops.SessionDraft("checkout", cart=cart, hosted=True, options={"tax": "included"}),
        )
        return str(shop.pay(session, number).payment_intent_id)


def stat(page: str, label: str) -> str:
    """What stands under a label."""
    return page.split(f'aria-label="{label}"')[1].split("</section>", maxsplit=1)[0]


def test_the_figures_are_those_of_the_chosen_days_beside_the_days_before(desk: Desk, shop: Shop) -> None:
    sold(shop, 1000, days=2)
    sold(shop, 2000, days=3)
    sold(shop, 700, days=3, number=NO_FUNDS)
    sold(shop, 2000, days=9)
    sold(shop, 90_000, days=40)
    week = desk.page("", range="7")
    assert "£30.00" in stat(week, "Volume") and "+50 % on the days before" in stat(week, "Volume")
    assert "66.7 %" in stat(week, "Success rate")
    assert "66.7 %" in stat(week, "Checkouts completed")
    assert "£50.00" in stat(desk.page(""), "Volume"), "thirty days, unless others are chosen"
    assert "£950.00" in stat(desk.page("", range="90"), "Volume")
    today = metrics.today()
    one_day = {"from": str(today - timedelta(days=9)), "to": str(today - timedelta(days=9))}
    assert "£20.00" in stat(desk.page("", **one_day), "Volume")


def test_each_chart_has_its_table(desk: Desk, shop: Shop) -> None:
    intent_id = sold(shop, 1234)
    refunds.send(refunds.create(shop.actor, intent_id, 234).id)
    page = desk.page("")
    assert page.count("Show as a table") == 3
    for words in ("Volume, GBP", "Refunded, GBP", "Payments that succeeded"):
        assert page.count(words) >= 2, "the drawing and its table both say what they are"
    assert page.count(">£12.34<") >= 2 and page.count(">£2.34<") >= 2
    assert "Tried to pay" in page and "1 · 100 %" in page


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2025-13-01"},
        {"from": "2025-02-01", "to": "2025-01-01"},
        {"from": "0001-01-01"},
        {"to": "2999-01-01"},
        {"from": "2000-01-01"},
    ],
)
def test_days_that_cannot_be_shown_say_so_and_the_usual_ones_are(desk: Desk, query: dict[str, str]) -> None:
    page = desk.page("", **query)
    assert "Choose two days" in page
    assert f'value="{metrics.today() - timedelta(days=29)}"' in page


def test_an_odd_range_or_currency_is_the_usual_one(desk: Desk, shop: Shop) -> None:
    sold(shop, 1000)
    for query in ({"range": "-1"}, {"range": "9" * 50}, {"range": "²"}, {"currency": "XYZ"}):
        assert "£10.00" in stat(desk.page("", **query), "Volume")


def test_currencies_are_not_added_up(desk: Desk, shop: Shop) -> None:
    sold(shop, 1000)
    sold(shop, 1000)
    sold(shop, 5000, currency="EUR")
    assert "£20.00" in stat(desk.page(""), "Volume"), "the one with the most payments"
    assert "€50.00" in stat(desk.page("", currency="EUR"), "Volume")


def test_a_new_merchant_is_told_what_to_do_first(desk: Desk) -> None:
    page = desk.page("")
    assert "No payments yet" in page and 'href="/dashboard/test/links/new"' in page
    assert "No dispute waits for you" in page
    assert "Every event of this time was taken" in page


def test_other_merchants_and_the_other_mode_do_not_show(desk: Desk, shop: Shop) -> None:
    sold(shops.make("Stranger"), 77_700)
    sold(shop, 1000)
    assert "£777" not in desk.page("")
    assert "£10.00" not in desk.get("/dashboard/live").text


def test_disputes_are_counted_by_when_an_answer_is_due(desk: Desk, shop: Shop) -> None:
    ids = []
    for price in (1000, 2000, 3000, 4000):
        charge = attempts.of_intent(shop.actor, sold(shop, price))[0]
        ids.append(disputes.create(shop.actor, DisputeDraft(charge.id, price, "fraudulent")).id)
    for dispute_id, hours in zip(ids, (-1, 20, 100, 400), strict=True):
        with transaction() as db:
            due = clock.now() + timedelta(hours=hours)
            db.execute(update(Dispute).where(Dispute.id == dispute_id).values(evidence_due_at=due))
    found = dispute_lookups.waiting(shop.actor)
    assert found.counts == {"overdue": 1, "two_days": 1, "week": 1, "later": 1}
    assert [row.id for row in found.next] == ids
    assert dispute_lookups.waiting(shops.make("Stranger").actor).total == 0
    page = desk.page("")
    assert "Overdue" in page and "evidence due by" in page
    assert page.index("£10.00</a>") < page.index("£20.00</a>") < page.index("£30.00</a>"), "the first first"


def deliver(endpoint: WebhookEndpoint, status: str, days: int = 0) -> None:
    at = clock.now() - timedelta(days=days)
    with transaction() as db:
        db.add(
            Delivery(
                id=new_id("dlv"),
                tenant_id=endpoint.tenant_id,
                mode=endpoint.mode,
                endpoint_id=endpoint.id,
                event_id=new_id("evt"),
                event_type="payment.succeeded",
                body="{}",
                status=status,
                due_at=at,
                created_at=at,
            )
        )


def test_endpoints_that_do_not_take_their_events_are_told_of(desk: Desk, shop: Shop) -> None:
    bad, _ = webhooks.create(shop.actor, "https://bad.test/hook", ["payment.succeeded"])
    good, _ = webhooks.create(shop.actor, "https://good.test/hook", ["payment.succeeded"])
    for status in ("exhausted", "exhausted", "retry_wait", "delivered"):
        deliver(bad, status)
    deliver(good, "delivered")
    deliver(good, "exhausted", days=60)
    page = desk.page("")
    assert "bad.test/hook" in page and "2 failed, 1 retrying" in page
    assert "good.test/hook" not in page
    assert "good.test/hook" in desk.page("", range="90")
    stranger = shops.make("Stranger").actor
    assert failing.endpoints(stranger, clock.now() - timedelta(days=9), clock.now()) == []
