"""Refunds, orders, subscriptions, customers and payment links at the desk: what each does, and who may."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.services.checkout import links, order_making, subscriptions
from app.services.payments import refunds, saved_methods
from tests.desk import Desk, enter, told
from tests.services.checkout.test_subscriptions import Club
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


def refund(shop: Shop, amount: int = 500) -> refunds.Refund:
    session = shop.session()
    shop.pay(session, nonce=f"n-{session.id}")
    return refunds.create(shop.actor, shop.intent(session).id, amount, "Too small")


def test_refunds_are_found_by_status_payment_and_day(desk: Desk, shop: Shop) -> None:
    one, other = refund(shop), refund(shop, 300)
    refunds.cancel(shop.actor, other.id)
    both = desk.page("/refunds")
    assert one.id in both and other.id in both and "Too small" in both
    for query, shown in (
        ("status=pending", {one.id}),
        ("status=failed", {other.id}),
        (f"payment={one.intent_id}", {one.id}),
        ("from=2001-01-01&to=2001-12-31", set()),
        ("from=2001-01-01", {one.id, other.id}),
        ("from=yesterday", {one.id, other.id}),
        ("status=nonsense", set()),
    ):
        page = desk.page(f"/refunds?{query}")
        assert {row.id for row in (one, other) if f"/refunds/{row.id}" in page} == shown, query
    assert "Nothing found" in desk.page("/refunds?status=nonsense")


def test_a_refund_is_stopped_before_it_is_sent_and_not_after(desk: Desk, shop: Shop) -> None:
    made = refund(shop)
    here = f"/refunds/{made.id}"
    assert "Stop this refund?" in desk.page(here)
    assert desk.post(f"{here}/cancel").status_code == 303
    stopped = refunds.get(shop.actor, made.id)
    assert (stopped.status, stopped.failure_reason) == ("failed", "canceled")
    assert "no money went back" in desk.page(here)
    sent = refund(shop)
    refunds.send(sent.id)
    desk.post(f"/refunds/{sent.id}/cancel")
    assert refunds.get(shop.actor, sent.id).status == "succeeded"
    page = desk.page(f"/refunds/{sent.id}")
    assert "It is too late" in page and "Stop the refund" not in page


def test_an_order_is_shipped_delivered_and_another_is_cancelled(desk: Desk, shop: Shop) -> None:
    first, second = shop.session(), shop.session(quantity=2)
    for session in (first, second):
        shop.pay(session, nonce=session.id)
    newest, oldest = order_making.list_page(shop.actor).data
    here = f"/orders/{oldest.number}"
    page = desk.page(here)
    assert "Mark as shipped" in page and "Mark as delivered" not in page and "£16.20" in page
    desk.post(f"{here}/status", status="delivered")
    assert order_making.get(shop.actor, oldest.number).status == "paid", "not before it is shipped"
    for status in ("shipped", "delivered"):
        desk.post(f"{here}/status", status=status)
        assert order_making.get(shop.actor, oldest.number).status == status
    assert "Cancel the order" not in desk.page(here)
    there = f"/orders/{newest.number}"
    back = f"/dashboard/test{there}"
    detour = desk.post(f"{there}/status", status="cancelled", back=back)
    assert "confirm?action=refund" in detour.location and detour.location.endswith(there)
    assert order_making.get(shop.actor, newest.number).status == "paid"
    desk.confirm("refund")
    desk.post(f"{there}/status", status="cancelled")
    assert order_making.get(shop.actor, newest.number).status == "cancelled"
    assert [row.amount for row in refunds.of_intent(shop.actor, str(newest.payment_intent_id))] == [3240]
    assert shop.left("MUG")[0] == 99
    assert f"/orders/{newest.number}" not in desk.page("/orders?status=delivered")
    found = desk.client.get(f"/dashboard/test/orders?number=order_{newest.number}")
    assert found.location.endswith(there)
    assert desk.status("/orders?number=999999") == desk.status("/orders/99999999999") == 404


def test_a_subscription_ends_with_its_period_goes_on_and_ends_now(desk: Desk, shop: Shop) -> None:
    member = Club(shop).member()
    here = f"/subscriptions/{member}"
    page = desk.page(here)
    assert "£9.00 a month" in page and "Cancel this subscription?" in page
    desk.post(f"{here}/cancel", when="whenever")
    assert not subscriptions.get(shop.actor, member).cancel_at_period_end
    desk.post(f"{here}/cancel", when="period_end", reason="Moved away")
    found = subscriptions.get(shop.actor, member)
    assert (found.cancel_at_period_end, found.cancel_reason, found.status) == (True, "Moved away", "active")
    assert "is not charged again" in desk.page(here)
    desk.post(f"{here}/resume")
    assert not subscriptions.get(shop.actor, member).cancel_at_period_end
    desk.post(f"{here}/cancel", when="now")
    assert subscriptions.get(shop.actor, member).status == "canceled"
    assert "subscription.canceled" in told(member)
    desk.post(f"{here}/resume")
    page = desk.page(here)
    assert "This subscription is canceled" in page and "Cancel this subscription?" not in page
    assert member in desk.page("/subscriptions?status=canceled")
    assert member not in desk.page("/subscriptions?status=active")


def test_a_customers_saved_method_is_removed_for_good(desk: Desk, shop: Shop) -> None:
    Club(shop).member()
    [kept] = saved_methods.list_page(shop.actor, "cus_1").data
    assert "cus_1" in desk.page("/customers")
    assert desk.client.get("/dashboard/test/customers?q=cus_1").location.endswith("/customers/cus_1")
    assert "No such customer" in desk.page("/customers?q=cus_2")
    page = desk.page("/customers/cus_1")
    assert "Visa •••• 4242" in page and "Subscriptions" in page
    answer = desk.post(f"/customers/methods/{kept.id}/remove")
    assert answer.location.endswith("/customers/cus_1")
    assert saved_methods.list_page(shop.actor, "cus_1").data == []
    assert "payment_method.revoked" in told(kept.id)
    assert "No method is kept" in desk.page("/customers/cus_1")
    assert desk.status("/customers/nobody") == 404


LINK = {"title": "Donation", "currency": "GBP", "how": "open", "methods_asked": "1"}


def test_a_link_lets_its_payer_choose_within_its_terms(desk: Desk, shop: Shop) -> None:
    terms = {"presets": "5 10; 25", "min_amount": "2", "max_amount": "100", "usage_limit": "3"}
    made = desk.post(
        "/links", **LINK, **terms, method_types=["card", "paypal"], expires_at="2099-01-01T00:00"
    )
    assert made.status_code == 303
    [link] = links.list_page(shop.actor).data
    assert (link.amount, link.presets, link.min_amount, link.max_amount) == (
        None,
        [500, 1000, 2500],
        200,
        10000,
    )
    assert (link.method_types, link.usage_limit) == (["card", "paypal"], 3)
    page = desk.page(f"/links/{link.id}")
    assert "£5.00, £10.00, £25.00" in page and "PayPal" in page and "/poster" in page
    assert links.pay(link.slug, amount=700).cart_snapshot["lines"][0]["unit_price"] == 700
    shown = desk.client.get(f"/l/{link.slug}").text
    assert "£25.00" in shown


def test_a_link_is_changed_and_what_is_wrong_is_said_at_its_field(desk: Desk, shop: Shop) -> None:
    for fields, words in (
        ({"method_types": []}, "Choose at least one"),
        ({"method_types": ["cash"]}, "The method cash is not supported"),
        ({"presets": "5 five"}, "Enter an amount like 12.50"),
        ({"presets": "5", "min_amount": "6"}, "Each preset lies within the bounds"),
        ({"how": "fixed", "amount": ""}, "Enter an amount like 12.50"),
        ({"expires_at": "2001-01-01T00:00"}, "Choose a time in the future"),
        ({"slug": "No Good"}, "Use 3 to 64 lower-case letters"),
    ):
        refused = desk.post("/links", **{**LINK, "method_types": ["card"], **fields})
        assert refused.status_code == 422 and words in refused.text, fields
    desk.post("/links", **LINK, method_types=["card"], slug="give")
    taken = desk.post("/links", **LINK, method_types=["card"], slug="give")
    assert taken.status_code == 422 and "This slug is taken" in taken.text
    [link] = links.list_page(shop.actor).data
    here = f"/links/{link.id}"
    assert 'value="Donation"' in desk.page(f"{here}/edit")
    change = {
        "title": "Ticket",
        "how": "fixed",
        "amount": "25",
        "methods_asked": "1",
        "method_types": ["card"],
    }
    assert desk.post(here, **change, version=str(link.version)).status_code == 303
    after = links.get(shop.actor, link.id)
    assert (after.title, after.amount, after.slug) == ("Ticket", 2500, "give")
    late = desk.post(here, **{**change, "title": "Older"}, version=str(link.version))
    assert late.status_code == 422 and "Somebody has changed this link" in late.text
    desk.post(f"{here}/active", active="0")
    assert links.state(links.get(shop.actor, link.id)) == "inactive"
    assert told(link.id) == ["payment_link.created", "payment_link.updated", "payment_link.deactivated"]
    assert "Switch on" in desk.page(here)


def test_who_reconciles_does_not_see_customers_or_disputes(client: FlaskClient, shop: Shop) -> None:
    desk = enter(client, shop, "reconciler")
    for path in ("/refunds", "/disputes", "/orders", "/subscriptions", "/customers"):
        assert desk.status(path) == 403, path
