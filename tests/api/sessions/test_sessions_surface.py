"""SE-001 to SE-003 over HTTP: fields, major units, exact texts, immutability (contract/sessions.md)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from flask.testing import FlaskClient

from app.providers.base import CartLine, CartSnapshot
from app.services.access import keys
from app.services.checkout import hosted, links, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.link_terms import LinkDraft
from app.services.events import timeline
from app.services.operations import settings as merchant_settings
from tests.shops import GOOD, NO_FUNDS, Shop, later, make
from tests.staff import person

URL = "/checkout-sessions"
LIST_FIELDS = {
    "checkout_session_id", "organization_id", "amount", "currency_code", "status", "title", "description",
    "customer_id", "customer_email", "expires_at", "created_at", "updated_at",
}  # fmt: skip
POST_FIELDS = LIST_FIELDS | {
    "customer_name", "customer_phone", "product_id", "price_id", "subscription_id", "allow_quantity",
    "quantity", "success_url", "cancel_url", "allow_coupon_code", "require_billing_address",
    "payment_link_id", "metadata", "environment", "created_by", "url",
}  # fmt: skip
TEA = {"amount": 12.5, "currency_code": "GBP", "title": "Tea", "customer_email": "ann@example.com"}


def post(client: FlaskClient, shop: Shop, body: Any) -> Any:
    return client.post(URL, json=body, headers={"x-api-key": shop.secret})


def get(client: FlaskClient, shop: Shop, rest: str = "") -> Any:
    return client.get(URL + rest, headers={"x-api-key": shop.secret})


def product(shop: Shop, stock: int = 5) -> tuple[str, str]:
    """The public ids of a product at 19.99 GBP and of its price."""
    shop.stock("BOOK", stock)
    return shop.offer("BOOK", 1999)


def test_the_resource_has_exactly_its_fields(client: FlaskClient, shop: Shop) -> None:
    body = {**TEA, "metadata": {"order_id": "ORDER-12345", "cart_items": "x" * 5000}, "allow_quantity": True}
    made = post(client, shop, body)
    assert made.status_code == 201
    assert set(made.json) == POST_FIELDS
    assert (made.json["amount"], made.json["status"], made.json["quantity"]) == (12.5, "open", 1)
    assert made.json["metadata"] == body["metadata"]
    assert made.json["organization_id"] == shop.actor.tenant.public_id
    assert made.json["environment"] == "test"
    for name in ("checkout_session_id", "organization_id", "created_by"):
        assert str(uuid.UUID(made.json[name])) == made.json[name]
    times = [datetime.fromisoformat(made.json[name]) for name in ("created_at", "expires_at")]
    assert (times[1] - times[0]).total_seconds() == 3600
    read = get(client, shop, f"/{made.json['checkout_session_id']}")
    assert set(read.json) == POST_FIELDS | {"is_spi", "is_pos"}
    assert {**made.json, "is_spi": False, "is_pos": False} == read.json
    listed = get(client, shop)
    assert [set(row) for row in listed.json] == [LIST_FIELDS]


AMOUNTS: list[Any] = [
    (10000.0, "XOF", 10000),
    (19.99, "GBP", 1999),
    (1.005, "KWD", 1005),
    (0.29, "USD", 29),
    (7, "EUR", 700),
]


def test_major_units_are_exact(client: FlaskClient, shop: Shop) -> None:
    for amount, currency, minor in AMOUNTS:
        made = post(client, shop, {**TEA, "amount": amount, "currency_code": currency}).json
        assert made["amount"] == amount
        session = sessions.get_public(shop.actor, made["checkout_session_id"])
        assert (session.grand_total, session.currency) == (minor, currency)


WRONG: list[Any] = [
    ({"customer_email": None}, "Either customer_id or customer_email is required"),
    (
        {"customer_email": None, "amount": -1, "currency_code": "ZZZ"},
        "Either customer_id or customer_email is required",
    ),
    ({"customer_email": "nobody"}, None),
    ({"currency_code": None}, "currency_code is required"),
    ({"quantity": 1_000_001}, "quantity must not be above 1000000"),
    ({"amount": 0}, "amount must be positive"),
    ({"amount": -5}, "amount must be positive"),
    ({"quantity": 0}, "quantity must be greater than 0"),
    ({"currency_code": "ZZZ"}, "currency_code is not supported"),
    ({"amount": None}, "amount is required"),
    ({"amount": None, "product_id": str(uuid.uuid4())}, "Product, price or subscription not found"),
    ({"amount": None, "subscription_id": str(uuid.uuid4())}, "Product, price or subscription not found"),
    ({"amount": 1.001}, "amount: GBP has 2 decimal places"),
    ({"amount": 1.5, "currency_code": "XOF"}, "amount: XOF has 0 decimal places"),
    ({"amount": True}, None),
    ({"amount": "12"}, None),
    ({"amount": 1e300}, "amount: amount out of range"),
    ({"quantity": 1.5}, None),
    ({"success_url": "javascript:x"}, "success_url is not a URL to return to"),
    ({"what": 1}, None),
]


def test_what_is_wrong_is_400_in_this_surfaces_form(client: FlaskClient, shop: Shop) -> None:
    for change, message in WRONG:
        body = {name: value for name, value in {**TEA, **change}.items() if value is not None}
        answer = post(client, shop, body)
        assert answer.status_code == 400, change
        assert set(answer.json) == {"statusCode", "message"}
        assert answer.json["statusCode"] == 400
        assert message is None or answer.json["message"] == message
        assert get(client, shop).json == []


def test_products_and_prices_fill_in(client: FlaskClient, shop: Shop) -> None:
    product_id, price_id = product(shop)
    buyer = {"customer_email": "a@example.com"}
    made = post(client, shop, {"product_id": product_id, "price_id": price_id, **buyer}).json
    assert (made["amount"], made["currency_code"], made["title"]) == (19.99, "GBP", "A book")
    assert (made["product_id"], made["price_id"]) == (product_id, price_id)
    several = post(client, shop, {"product_id": product_id, "quantity": 5, **buyer})
    assert sessions.get_public(shop.actor, several.json["checkout_session_id"]).grand_total == 5 * 1999
    wrong = post(client, shop, {"price_id": price_id, "currency_code": "USD", **buyer})
    assert wrong.json == {"statusCode": 400, "message": "The price is in GBP"}
    too_many = post(client, shop, {"product_id": product_id, "quantity": 6, **buyer})
    assert too_many.json == {"statusCode": 400, "message": "quantity exceeds the available stock"}
    reference = str(uuid.uuid4())
    unknown = post(client, shop, {**TEA, "product_id": reference, "subscription_id": reference})
    assert unknown.status_code == 201
    assert unknown.json["product_id"] == unknown.json["subscription_id"] == reference
    strangers = post(client, make("Other shop"), {"product_id": product_id, **buyer})
    assert strangers.json["message"] == "Product, price or subscription not found"


def test_amount_is_per_unit(client: FlaskClient, shop: Shop) -> None:
    made = post(client, shop, {**TEA, "quantity": 3}).json
    assert made["amount"] == 12.5
    assert sessions.get_public(shop.actor, made["checkout_session_id"]).grand_total == 3750


def test_lists_filter_and_page_newest_first(client: FlaskClient, shop: Shop) -> None:
    ids = [post(client, shop, {**TEA, "title": str(n)}).json["checkout_session_id"] for n in range(4)]
    shop.session()  # another surface's
    paid = sessions.get_public(shop.actor, ids[1])
    shop.pay(paid, GOOD)
    sessions.cancel(shop.actor, sessions.get_public(shop.actor, ids[2]).id)

    def listed(query: str) -> list[str]:
        return [row["checkout_session_id"] for row in get(client, shop, query).json]

    assert listed("") == ids[::-1]
    assert listed("?limit=2&offset=1") == [ids[2], ids[1]]
    assert listed("?status=complete") == [ids[1]]
    assert listed("?status=expired") == [ids[2]]
    assert listed("?status=open") == [ids[3], ids[0]]
    with later(3601):  # the sweep has not come by, and they are over all the same
        assert listed("?status=open") == []
        assert listed("?status=expired") == [ids[3], ids[2], ids[0]]
        late = get(client, shop, f"/{ids[0]}").json
    assert (late["status"], late["url"]) == ("expired", None)
    for wrong in ("?limit=0", "?limit=101", "?offset=-1", "?status=paid", "?limit=x", "?page=1"):
        answer = get(client, shop, wrong)
        assert (answer.status_code, answer.json["statusCode"]) == (400, 400)


def test_credentials_are_this_surfaces_own(client: FlaskClient, shop: Shop) -> None:
    refused = {"statusCode": 401, "message": "Invalid API key"}
    for headers in ({}, {"x-api-key": "sk_test_nope"}, shop.bearer):
        answer = client.post(URL, json=TEA, headers=headers)
        assert (answer.status_code, answer.json) == (401, refused)
    _, publishable = keys.create(shop.actor, "front", kind="pk")
    assert client.post(URL, json=TEA, headers={"x-api-key": publishable}).status_code == 403


def test_other_organisations_sessions_are_not_found(client: FlaskClient, shop: Shop) -> None:
    made = post(client, shop, TEA).json["checkout_session_id"]
    for session_id in (made, "nonsense"):
        answer = get(client, make(f"Other {session_id[:5]}"), f"/{session_id}")
        assert answer.status_code == 404
        assert answer.json == {
            "statusCode": 404,
            "message": f"Checkout session with ID {session_id} not found or access denied",
        }


def test_sessions_are_immutable(client: FlaskClient, shop: Shop) -> None:
    made = post(client, shop, TEA).json
    one = f"{URL}/{made['checkout_session_id']}"
    calls = [(method, at) for method in ("PATCH", "PUT", "DELETE") for at in (one, URL)]
    for method, at in [*calls, ("POST", one)]:
        answer = client.open(at, method=method, json={}, headers={"x-api-key": shop.secret})
        assert answer.status_code == 405, (method, at)
        assert answer.json == {"statusCode": 405, "message": "Checkout sessions are immutable"}
        allowed = {name.strip() for name in answer.headers["Allow"].split(",")}
        assert allowed == {"GET", "HEAD", "OPTIONS"} | ({"POST"} if at == URL else set())
    read = get(client, shop, f"/{made['checkout_session_id']}").json
    assert {name: read[name] for name in made} == made


def test_a_paid_session_is_complete_and_its_page_gone(client: FlaskClient, shop: Shop) -> None:
    made = post(client, shop, TEA).json
    assert made["url"].startswith("http")
    assert made["customer_id"] is None
    shop.pay(sessions.get_public(shop.actor, made["checkout_session_id"]))
    paid = get(client, shop, f"/{made['checkout_session_id']}").json
    assert (paid["status"], paid["url"]) == ("complete", None)
    assert str(uuid.UUID(paid["customer_id"])) == paid["customer_id"]
    assert get(client, shop).json[0]["customer_id"] == paid["customer_id"]
    known = post(client, shop, {**TEA, "customer_id": "0190a5b0-0000-7000-8000-000000000000"}).json
    shop.pay(sessions.get_public(shop.actor, known["checkout_session_id"]))
    paid = get(client, shop, f"/{known['checkout_session_id']}").json
    assert paid["customer_id"] == known["customer_id"] == "0190a5b0-0000-7000-8000-000000000000"


def test_a_currency_that_the_merchant_does_not_take(client: FlaskClient, shop: Shop) -> None:
    merchant_settings.change(shop.actor, {"currencies": ["XOF"]})
    assert post(client, shop, TEA).json == {"statusCode": 400, "message": "currency_code is not supported"}
    assert post(client, shop, {**TEA, "amount": 10000.0, "currency_code": "XOF"}).status_code == 201


def test_a_key_makes_one_session(client: FlaskClient, shop: Shop) -> None:
    headers = {"x-api-key": shop.secret, "Idempotency-Key": "o1"}
    first, second = (client.post(URL, json=TEA, headers=headers) for _ in range(2))
    assert (first.json, second.headers["Idempotent-Replayed"]) == (second.json, "true")
    other = client.post(URL, json={**TEA, "amount": 1}, headers=headers)
    assert other.json == {
        "statusCode": 400,
        "message": "This Idempotency-Key was used with another request",
    }


def test_who_made_it_is_the_person_who_made_the_key(client: FlaskClient, shop: Shop) -> None:
    made = []
    for who in (person(shop), person(shop, "admin")):
        for name in ("a", "b"):
            _, secret = keys.create(who.actor, name)
            made.append(client.post(URL, json=TEA, headers={"x-api-key": secret}).json["created_by"])
    assert [str(uuid.UUID(one)) for one in made] == made
    assert made[0] == made[1] != made[2] == made[3]


def test_a_sale_over_a_payment_link_is_seen_here_too(client: FlaskClient, shop: Shop) -> None:
    link = links.create(shop.actor, LinkDraft("Boat", "USD", slug="boat", amount=9900))
    session = links.pay("boat")
    seen = get(client, shop, f"/{session.public_id}").json
    assert (seen["payment_link_id"], seen["amount"], seen["created_by"]) == (link.public_id, 99.0, None)
    assert set(seen) == POST_FIELDS | {"is_spi", "is_pos"}
    assert [row["checkout_session_id"] for row in get(client, shop).json] == [session.public_id]
    lines = CartSnapshot("GBP", (CartLine("a", "MUG", "Mug", 2, 1500), CartLine("b", "POT", "Pot", 1, 999)))
    bare = sessions.create(shop.actor, SessionDraft(surface="checkout", cart=lines))
    assert get(client, shop, f"/{bare.public_id}").status_code == 404, "it has no page"
    hosted.open_page(shop.actor, bare.id)
    seen = get(client, shop, f"/{bare.public_id}").json
    assert (seen["amount"], seen["quantity"]) == (39.99, 1)


def test_a_failed_session_is_open_until_its_time_is_up(client: FlaskClient, shop: Shop) -> None:
    made = post(client, shop, TEA).json
    session = sessions.get_public(shop.actor, made["checkout_session_id"])
    for number in range(5):
        shop.pay(session, NO_FUNDS, nonce=f"n{number}")
    assert shop.read(session).status == "failed"
    place = f"/{session.public_id}"
    assert get(client, shop, place).json["status"] == "open"
    with later(3601):
        assert (get(client, shop, place).json["status"], get(client, shop, place).json["url"]) == (
            "expired",
            None,
        )
        assert len(get(client, shop, "?status=expired").json) == 1


def test_both_ends_are_told(client: FlaskClient, shop: Shop) -> None:
    paid, lapsed = (
        sessions.get_public(shop.actor, post(client, shop, TEA).json["checkout_session_id"]) for _ in range(2)
    )
    shop.pay(paid)
    with later(3601):
        assert sessions.expire_due() == 1
    for session, wanted in ((paid, "checkout.session.completed"), (lapsed, "checkout.session.expired")):
        types = [entry.type for entry in timeline.of_checkout(shop.actor, session.id)]
        assert [name for name in types if name.startswith("checkout.session.")] == [wanted]
