"""Customers at the desk: everybody who paid, found and led to; credit by hand, once, within what is free."""

from __future__ import annotations

import pytest

from app.domain.errors import Conflict, Unprocessable
from app.services.checkout import customers, links, order_making, renewals, stored_value
from app.services.checkout.customers import Customer
from app.services.checkout.link_terms import LinkDraft
from app.services.ledger.postings import balances
from app.services.payments import intents, refunds, store_credit
from tests import shops
from tests.buyers import together
from tests.desk import Desk, told
from tests.disputes import paid
from tests.services.checkout.test_subscriptions import Club
from tests.shops import NO_FUNDS, Shop, later

pytestmark = pytest.mark.usefixtures("holds")


def buy(shop: Shop, number: str = shops.GOOD, **customer: str) -> str:
    """Buy a mug; the payment's id."""
    session = shop.session(customer=customer)
    shop.pay(session, number, f"n-{session.id}")
    return shop.intent(session).id


def names(found: list[Customer]) -> list[str]:
    return [row.id or row.email or "" for row in found]


def test_everybody_who_paid_is_listed_once_and_who_paid_last_comes_first(
    desk: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    buy(shop, email="ann@buyer.test", name="Ann Lee")
    buy(shop, email="bob@buyer.test")
    paid(shop.actor, customer_id="cus_9")
    buy(shop, email="Ann@buyer.test", name="Ann Lee")
    buy(shop, NO_FUNDS, email="poor@buyer.test")
    paid(shop.actor)
    buy(shops.make("Stranger"), email="far@buyer.test")
    everybody = ["Ann@buyer.test", "cus_9", "bob@buyer.test"]
    assert names(customers.list_page(shop.actor).data) == everybody
    monkeypatch.setattr(customers, "WINDOW", 2)
    monkeypatch.setattr(customers, "WINDOWS", 1)
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = customers.list_page(shop.actor, limit=1, cursor=cursor)
        seen, cursor, pages = seen + names(page.data), page.next_cursor, pages + 1
    assert seen == everybody and pages < 7
    listed = desk.page("/customers")
    assert "Ann Lee" in listed and "far@" not in listed and "poor@" not in listed
    assert desk.client.get("/dashboard/test/customers?cursor=zzz").status_code == 400


def test_a_customer_is_found_and_leads_to_what_they_bought_and_back(desk: Desk, shop: Shop) -> None:
    first, second = (buy(shop, email="ann@buyer.test", name="Ann Lee") for _ in range(2))
    buy(shop, email="ann@other.test", name="Ann Other")
    newest = order_making.list_page(shop.actor).data[1]
    search = "/dashboard/test/customers?q="
    assert desk.client.get(search + "ANN@buyer.test").location.endswith("by-email?email=ann%40buyer.test")
    both = desk.page("/customers?q=Ann")
    assert "ann@buyer.test" in both and "ann@other.test" in both
    assert "No such customer" in desk.page("/customers?q=cus_2")
    page = desk.page("/customers/by-email?email=Ann@buyer.test")
    assert f"/payments/{first}" in page and f"/payments/{second}" in page and "Ann Lee" in page
    assert f'href="/dashboard/test/orders/{newest.number}"' in page and "store credit belong" in page
    there = 'href="/dashboard/test/customers/by-email?email=ann%40buyer.test"'
    checkout = intents.get(shop.actor, second).checkout_id
    refund = refunds.create(shop.actor, second, 100, "Late")
    for path, wanted in (
        (
            f"/payments/{second}",
            (
                f"/orders/{newest.number}",
                f"/checkouts/{checkout}",
                f"/refunds/{refund.id}",
                f"/fraud/payments/{second}",
            ),
        ),
        (f"/fraud/payments/{second}", (f"/payments/{second}",)),
        (
            f"/refunds/{refund.id}",
            (f"/payments/{second}", f"/orders/{newest.number}", f"/checkouts/{checkout}"),
        ),
        (f"/orders/{newest.number}", (f"/payments/{second}", f"/checkouts/{checkout}")),
        (f"/checkouts/{checkout}", (f"/payments/{second}", f"/orders/{newest.number}")),
    ):
        shown = desk.page(path)
        assert [link for link in wanted if f'href="/dashboard/test{link}"' not in shown] == [], path
        assert there in shown or path.startswith("/fraud"), path
    for gone in ("by-email?email=nobody@buyer.test", "cus_2", "credit/cus_2"):
        desk.confirm("store-credit")
        assert desk.status(f"/customers/{gone}") == 404, gone
    assert desk.status("/customers/by-email") == 303


def test_a_payment_of_a_subscription_or_a_link_leads_to_it_and_back(desk: Desk, shop: Shop) -> None:
    member = Club(shop).member()
    with later(31 * 86400):
        assert renewals.renew_due() == 1
        [line, *_] = customers.of_id(shop.actor, "cus_1").payments
        assert line.intent.checkout_id is None
    assert f'href="/dashboard/test/subscriptions/{member}"' in desk.page(f"/payments/{line.intent.id}")
    page = desk.page("/customers/cus_1")
    assert f"/subscriptions/{member}" in page and "Visa •••• 4242" in page and line.intent.id in page
    link = links.create(shop.actor, LinkDraft(title="Ticket", currency="GBP", amount=100))
    session = links.pay(link.slug, email="ann@buyer.test")
    shop.pay(session)
    there = f"/payments/{shop.intent(session).id}"
    assert there in desk.page(f"/links/{link.id}") and f"/links/{link.id}" in desk.page(there)


def test_credit_is_given_and_taken_back_once_and_never_more_than_is_free(desk: Desk, shop: Shop) -> None:
    paid(shop.actor, customer_id="cus_9")
    here = "/customers/credit/cus_9"
    assert f'href="/dashboard/test{here}"' in desk.page("/customers/cus_9")
    form = {
        "amount": "12.50",
        "currency": "gbp",
        "reason": "Broken cup",
        "change": store_credit.new_change_id(),
    }
    assert "action=store-credit" in desk.post(here, **form).location
    desk.confirm("store-credit")
    assert "has no credit yet" in desk.page(here)
    for wrong, words in (
        ({"amount": "-1"}, "Enter an amount like 12.50"),
        ({"currency": "XXQ"}, "Enter a currency like GBP"),
        ({"reason": " "}, "Say why"),
        ({"change": "mine"}, "Open this page again"),
        ({"way": "take"}, "£0.00 can be taken back"),
    ):
        refused = desk.post(here, **{**form, **wrong})
        assert refused.status_code == 422 and words in refused.text, wrong
    for _ in range(2):
        assert desk.post(here, **form).location.endswith("/customers/cus_9")
    other = desk.post(here, **{**form, "amount": "99"})
    assert other.status_code == 422 and "sent before, with another amount" in other.text
    assert [row.balance for row in stored_value.credits_of(shop.actor, "cus_9")] == [1250]
    assert balances(shop.actor)["store_credit", "GBP"] == -1250
    assert balances(shop.actor)["merchant_balance", "GBP"] == -2000 + 1250
    page = desk.page("/customers/cus_9")
    assert (
        "Store credit: given" in page
        and "£12.50: Broken cup" in page
        and "The balance is £12.50" in desk.page(here)
    )
    back = {**form, "way": "take", "amount": "2.50", "change": store_credit.new_change_id()}
    assert desk.post(here, **back).status_code == 303
    assert told("cus_9") == ["store_credit.given", "store_credit.taken_back"]
    stranger = shops.make("Stranger")
    paid(stranger.actor, customer_id="cus_8")
    fresh = {**form, "change": store_credit.new_change_id()}
    assert desk.post("/customers/credit/cus_8", **fresh).status_code == 404
    with pytest.raises(Conflict):  # whoever knows the name of another merchant's change
        store_credit.change(stranger.actor, "cus_8", 1250, "GBP", "x", change_id=form["change"])
    assert stored_value.credits_of(stranger.actor, "cus_8") == []


def test_many_at_once_give_once_and_take_no_more_than_there_is(shop: Shop) -> None:
    name = store_credit.new_change_id()

    def give(_: int) -> None:
        store_credit.change(shop.actor, "cus_9", 1000, "GBP", "x", change_id=name)

    assert together(8, give) == [None] * 8

    def take(_: int) -> None:
        fresh = store_credit.new_change_id()
        store_credit.change(shop.actor, "cus_9", -300, "GBP", "x", change_id=fresh)

    outcomes = together(8, take)
    assert outcomes.count(None) == 3
    assert all(outcome is None or isinstance(outcome, Unprocessable) for outcome in outcomes)
    assert [row.balance for row in stored_value.credits_of(shop.actor, "cus_9")] == [100]
    assert balances(shop.actor)["store_credit", "GBP"] == -100
