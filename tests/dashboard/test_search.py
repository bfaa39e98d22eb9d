"""Search finds everything a merchant has, by id or words, and leads to it; nothing of anybody else."""

from __future__ import annotations

import pytest

from app.services.checkout import finding, links
from app.services.checkout.link_terms import LinkDraft
from app.services.payments import attempts, disputes, intents, methods, refunds, search
from app.services.payments.disputes import DisputeDraft
from tests import shops
from tests.desk import Desk
from tests.shops import Shop


def bought(shop: Shop, email: str = "Ann.Lee@shop.test", **draft: object) -> tuple[str, str]:
    """(checkout, payment)"""
    session = shop.session(customer={"email": email, "name": "Ann Lee"}, **draft)
    return session.id, str(shop.pay(session).payment_intent_id)


def test_what_is_named_by_its_id_is_opened_at_once(desk: Desk, shop: Shop) -> None:
    checkout_id, intent_id = bought(shop)
    charge = attempts.of_intent(shop.actor, intent_id)[0]
    refund = refunds.create(shop.actor, intent_id, 100)
    dispute = disputes.create(shop.actor, DisputeDraft(charge.id, 100, "fraudulent"))
    link = links.create(shop.actor, LinkDraft(title="A ticket", currency="GBP", amount=500))
    for query, leads_to in (
        (intent_id, f"/payments/{intent_id}"),
        (checkout_id, f"/checkouts/{checkout_id}"),
        (link.id, f"/links/{link.id}"),
        (refund.id, refund.id),
        (dispute.id, dispute.id),
    ):
        answer = desk.get("/search", q=f" {query} ")
        assert answer.status_code == 303, query
        there = desk.client.get(answer.location)
        assert there.status_code == 200
        assert answer.location.endswith((leads_to, f"/payments/{intent_id}"))


@pytest.mark.parametrize(
    "query",
    ["ann.lee@SHOP.test", "INV-77", "4242", "16.20", "£16.20", "16,20 gbp", "ann lee", "a stoneware"],
)
def test_words_find_payments_and_checkouts(desk: Desk, shop: Shop, query: str) -> None:
    checkout_id, intent_id = bought(shop, reference="INV-77", title="A stoneware mug")
    other = shop.session(price=900, customer={"email": "bob@shop.test"})
    other_id = str(shop.pay(other, "5555555555554444").payment_intent_id)
    page = desk.page("/search", q=query)
    assert f"/payments/{intent_id}" in page and other_id not in page
    if query not in ("4242", "16.20", "£16.20", "16,20 gbp"):
        assert f"/checkouts/{checkout_id}" in page
    assert search.find(shop.actor, query) == [intent_id]
    stranger = shops.make("Stranger")
    assert finding.everything(stranger.actor, query).total == 0


def test_gateway_references_charges_and_orders_find_the_payment(shop: Shop) -> None:
    _, intent_id = bought(shop)
    bought(shop)
    charge = attempts.of_intent(shop.actor, intent_id)[0]
    session = search.session_of(shop.actor, intents.get(shop.actor, intent_id))
    assert session is not None
    for query in (charge.id, charge.authorization_id, charge.gateway_reference, session.order_id):
        assert search.find(shop.actor, str(query)) == [intent_id], query
    assert search.find(shop.actor, session.public_id) == [intent_id]


def test_links_customers_refunds_and_disputes_are_found_by_words(desk: Desk, shop: Shop) -> None:
    links.create(shop.actor, LinkDraft(title="Evening of pottery", currency="GBP", amount=500))
    method = methods.tokenize_card(shop.actor, shops.card(shops.GOOD))
    draft = intents.IntentDraft(2000, "GBP", customer_id="cust_77", payment_method_id=method.id)
    intent_id = intents.confirm(shop.actor, intents.create(shop.actor, draft).id, nonce="n").id
    refunds.create(shop.actor, intent_id, 100, "Lid was broken")
    charge = attempts.of_intent(shop.actor, intent_id)[0]
    disputes.create(shop.actor, DisputeDraft(charge.id, 100, "product_not_received"))
    bought(shop)
    assert [row.title for row in finding.everything(shop.actor, "pottery").links] == ["Evening of pottery"]
    assert [row.amount for row in finding.everything(shop.actor, "lid was").refunds] == [100]
    assert [row.amount for row in finding.everything(shop.actor, "not_received").disputes] == [100]
    found = finding.everything(shop.actor, "cust_77")
    assert [row.intent.id for row in found.payments] == [intent_id]
    people = finding.everything(shop.actor, "ann lee").customers
    assert [(one.id, one.email) for one in people] == [(None, "Ann.Lee@shop.test")]
    for query, words in (
        ("pottery", "Evening of pottery"),
        ("lid was", "Lid was broken"),
        ("ann lee", "Ann"),
    ):
        assert words in desk.page("/search", q=query)


def test_nothing_found_and_nothing_asked_say_what_can_be(desk: Desk, shop: Shop) -> None:
    bought(shop)
    assert "Search everything" in desk.page("/search")
    for query in (
        "nothing like it",
        "%",
        "' OR 1=1 --",
        "9" * 300,
        "\u0661\u0662\u0663",
        "1e999",
        "$",
        ",.,",
    ):
        page = desk.page("/search", q=query)
        assert "Nothing found" in page, query
        assert "<table" not in page


def test_the_top_search_leads_there(desk: Desk) -> None:
    assert 'action="/dashboard/test/search"' in desk.page("/payments")
