"""The orders surface over HTTP: exact figures, bodies and texts, and who sees which order (contract/orders.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading, transaction
from app.domain.actor import Mode
from app.models.access.tenant import Tenant
from app.models.events.journal import JournalEntry
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund
from app.services.access import keys, tokens, users
from app.services.checkout import sessions
from app.services.payments import intents, methods, refunds, saved_methods
from app.services.payments.saved_methods import MethodChange
from tests.catalogue import coupon, tax, uses
from tests.shops import NO_FUNDS, Shop, card, later, make

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
FIELDS = {
    "id", "user_id", "status", "subtotal", "tax", "discount_amount", "total", "discount_code", "created_at",
    "updated_at",
}  # fmt: skip
SAVE10 = {
    "subtotal": 1299.99,
    "discount_code": "SAVE10",
    "discount_amount": 129.99,
    "discounted_subtotal": 1170.0,
    "tax": 93.6,
    "total": 1263.6,
}
NO_CODE = {
    "subtotal": 1299.99,
    "discount_code": None,
    "discount_amount": 0,
    "discounted_subtotal": 1299.99,
    "tax": 104.0,
    "total": 1403.99,
}


@dataclass
class Caller:
    """A person of the shop who calls the orders surface."""

    client: FlaskClient
    shop: Shop
    role: str = "payments_admin"
    email: str = "ann@shop.test"

    def __post_init__(self) -> None:
        user = users.create(self.shop.actor.tenant_id, self.email, "Ann", self.role, "a long enough secret")
        self.number = user.number
        self.actor = tokens.person(user.id, Mode.TEST)
        self.token = tokens.mint_jwt(self.actor)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", **headers}
        return self.client.open("/api" + path, method=method, json=body, headers=sent)

    def raw(self, subtotal: str) -> TestResponse:
        """A preview of a sum that is written so."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = f'{{"subtotal": {subtotal}}}'
        return self.client.post("/api/payments/calculate", data=body, headers=headers)

    def order(self, **body: Any) -> Any:
        answer = self.call("POST", "/orders", body or {"subtotal": 1299.99})
        assert answer.status_code == 201, answer.json
        return answer.json

    def pay(self, number: int, **headers: str) -> TestResponse:
        return self.call("POST", "/payments/checkout", {"order_id": number}, **headers)

    def move(self, number: int, status: str) -> TestResponse:
        return self.call("PATCH", f"/orders/{number}", {"status": status})

    def keeps(self, number: str) -> PaymentMethod:
        """The person's default method."""
        kept = methods.tokenize_card(
            self.actor, card(number), customer_id=f"user_{self.number}", consent=True
        )
        return saved_methods.update(self.actor, kept.id, MethodChange(is_default=True))


@pytest.fixture
def ann(client: FlaskClient, shop: Shop, holds: None) -> Caller:
    return Caller(client, shop)


def refused(answer: TestResponse) -> tuple[int, Any]:
    return answer.status_code, answer.json


def test_the_preview_has_the_figures_of_the_contract_and_changes_nothing(ann: Caller) -> None:
    coupon(ann.shop)
    for code, figures in (("SAVE10", SAVE10), (" save10 ", SAVE10), (None, NO_CODE), ("NOPE", NO_CODE)):
        body = {"subtotal": 1299.99, "discount_code": code}
        answer = ann.call("POST", "/payments/calculate", body)
        assert (answer.status_code, answer.json) == (200, figures)
    assert ann.call("POST", "/payments/calculate", {"subtotal": 1299.99}).json == NO_CODE
    assert uses(ann.shop) == (0, 0)
    assert ann.call("GET", "/orders").json == {"data": [], "has_more": False, "next_cursor": None}


def test_a_subtotal_is_read_by_its_text_and_rounded_half_up(ann: Caller) -> None:
    figures = {
        "0": (0, 0, 0),
        "10": (10, 0.8, 10.8),
        "0.005": (0.01, 0, 0.01),
        "0.00499999999999999999999": (0, 0, 0),
        "1299.994999999999999999": (1299.99, 104.0, 1403.99),
        "1.2e1": (12, 0.96, 12.96),
    }
    for sent, shown in figures.items():
        answer = ann.raw(sent).json
        assert answer is not None
        assert (answer["subtotal"], answer["tax"], answer["total"]) == shown
    for wrong in ('"12"', "true", "null", "NaN", "Infinity", "1e999", "-0.01", "[1]", "1e18", "9" * 23):
        assert refused(ann.raw(wrong)) == (400, {"error": "Invalid value for field: subtotal"}), wrong
    missing = {"error": "Missing required field: subtotal"}
    assert refused(ann.call("POST", "/payments/calculate", {})) == (400, missing)


def test_the_rate_and_the_smallest_unit_are_the_merchants(ann: Caller) -> None:
    tax(ann.shop, "20")
    body = {"subtotal": 19.99}
    assert ann.call("POST", "/payments/calculate", body).json["tax"] == 4.0
    with transaction() as db:
        db.get_one(Tenant, ann.shop.actor.tenant_id).default_currency = "JPY"
    answer = ann.call("POST", "/payments/calculate", {"subtotal": 1000.5})
    assert (answer.json["subtotal"], answer.json["tax"], answer.json["total"]) == (1001, 200, 1201)
    assert ann.call("POST", "/orders", {"items": [{"unit_price": 0.5}]}).status_code == 400


def test_credentials_are_jwts(ann: Caller) -> None:
    paths = (("POST", "/payments/calculate"), ("POST", "/payments/checkout"), ("GET", "/orders/1"))
    _, publishable = keys.create(ann.shop.actor, "front", kind="pk")
    for method, path in paths:
        bare = ann.client.open("/api" + path, method=method)
        assert refused(bare) == (401, {"msg": "Missing Authorization Header"})
        for credential in ("nonsense", ann.shop.secret, ann.token + "x", "eyJhbGciOiJub25lIn0.e30."):
            answer = ann.call(method, path, Authorization=f"Bearer {credential}")
            assert refused(answer) == (401, {"msg": "Invalid token"})
        with later(601):
            assert refused(ann.call(method, path)) == (401, {"msg": "Token has expired"})
        assert ann.call(method, path, Authorization=f"Bearer {publishable}").status_code == 403


def test_a_machine_acts_for_whoever_made_its_key(ann: Caller) -> None:
    _, secret = keys.create(ann.actor, "backend", scopes=["orders:read", "orders:write"])
    machine = f"Bearer {tokens.mint_jwt(keys.authenticate(secret))}"
    made = ann.call("POST", "/orders", {"subtotal": 10}, Authorization=machine)
    assert (made.status_code, made.json["user_id"]) == (201, ann.number)
    assert ann.call("PATCH", "/orders/1", {"status": "shipped"}, Authorization=machine).status_code == 403
    nobody = f"Bearer {tokens.mint_jwt(keys.authenticate(ann.shop.secret))}"
    answer = ann.call("POST", "/orders", {"subtotal": 10}, Authorization=nobody)
    assert refused(answer) == (403, {"error": "This token stands for no user"})


def test_paying_an_order_answers_as_the_contract_has_it(ann: Caller) -> None:
    made = ann.order()
    assert set(made) == FIELDS | {"currency", "shipping", "items", "payment_intent_id", "expires_at"}
    assert (made["id"], made["status"], made["user_id"]) == (1, "pending", ann.number)
    with later(300):
        answer = ann.pay(made["id"])
    assert answer.status_code == 200
    assert answer.json["message"] == "Payment processed successfully"
    order = answer.json["order"]
    assert set(order) == FIELDS
    assert {name: order[name] for name in FIELDS - {"created_at", "updated_at"}} == {
        "id": 1,
        "user_id": ann.number,
        "status": "paid",
        "subtotal": 1299.99,
        "tax": 104.0,
        "discount_amount": 0.0,
        "total": 1403.99,
        "discount_code": None,
    }
    assert INSTANT.fullmatch(order["created_at"]) and INSTANT.fullmatch(order["updated_at"])
    assert order["created_at"] == made["created_at"] < order["updated_at"]
    assert refused(ann.pay(made["id"])) == (400, {"error": "Order is already paid"})


def test_its_payment_is_one_of_the_merchants_payments(ann: Caller) -> None:
    made = ann.order(subtotal=50)
    ann.pay(made["id"])
    intent_id = ann.call("GET", f"/orders/{made['id']}").json["payment_intent_id"]
    intent = intents.get(ann.shop.actor, intent_id)
    assert (intent.status, intent.amount_captured, intent.currency) == ("succeeded", 5400, "GBP")
    refund = refunds.create(ann.shop.actor, intent_id, 400)
    refunds.send(refund.id)
    assert refunds.get(ann.shop.actor, refund.id).status == "succeeded"
    with reading() as db:
        told = list(db.scalars(select(JournalEntry.type).where(JournalEntry.payment_intent_id == intent_id)))
    assert {"payment.succeeded", "order.payment_started", "order.paid", "refund.succeeded"} <= set(told)


def test_what_is_refused_of_a_payment(ann: Caller, shop: Shop) -> None:
    assert refused(ann.call("POST", "/payments/checkout", {})) == (
        400,
        {"error": "Missing required field: order_id"},
    )
    for wrong in ("1", True, None, 1.5):
        answer = ann.call("POST", "/payments/checkout", {"order_id": wrong})
        assert refused(answer) == (400, {"error": "Invalid value for field: order_id"})
    bob = Caller(ann.client, shop, email="bob@shop.test")
    stranger = Caller(ann.client, make("Other"), email="eve@other.test")
    made = ann.order()["id"]
    for caller, number in ((ann, 4711), (bob, made), (stranger, made), (ann, -1), (ann, 2**62)):
        assert refused(caller.pay(number)) == (404, {"error": "Order not found"})
    live = tokens.mint_jwt(tokens.person(ann.actor.id, Mode.LIVE))
    assert ann.pay(made, Authorization=f"Bearer {live}").status_code == 404
    for status in ("cancelled", "shipped", "delivered"):
        number = ann.order()["id"]
        if status != "cancelled":
            ann.pay(number)
            ann.move(number, "shipped")
        ann.move(number, status)
        assert refused(ann.pay(number)) == (400, {"error": f"Order is already {status}"})


def test_a_decline_leaves_the_order_pending_and_another_card_pays_it(ann: Caller) -> None:
    made = ann.order()["id"]
    for bad in (NO_FUNDS, "4000002760003184"):  # the second wants a challenge, and nobody is there
        ann.keeps(bad)
        assert refused(ann.pay(made)) == (400, {"error": "Payment declined"})
        assert ann.call("GET", f"/orders/{made}").json["status"] == "pending"
    good = ann.keeps("5555555555554444")
    assert ann.pay(made).status_code == 200
    intent = intents.get(ann.actor, ann.call("GET", f"/orders/{made}").json["payment_intent_id"])
    assert (intent.payment_method_id, intent.customer_id) == (good.id, f"user_{ann.number}")


def test_in_live_mode_nothing_is_made_up_to_pay_with(ann: Caller) -> None:
    live = f"Bearer {tokens.mint_jwt(tokens.person(ann.actor.id, Mode.LIVE))}"
    made = ann.call("POST", "/orders", {"subtotal": 5}, Authorization=live).json["id"]
    answer = ann.pay(made, Authorization=live)
    assert refused(answer) == (400, {"error": "No payment method on file"})


def test_a_repeated_call_answers_the_same(ann: Caller) -> None:
    made = ann.order()["id"]
    first = ann.pay(made, **{"Idempotency-Key": "k"})
    again = ann.pay(made, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json) == (200, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = ann.pay(ann.order()["id"], **{"Idempotency-Key": "k"})
    assert other.status_code == 400
    body = {"subtotal": 7}
    pair = [ann.call("POST", "/orders", body, **{"Idempotency-Key": "made"}).json["id"] for _ in range(2)]
    assert pair[0] == pair[1]


def test_items_are_priced_by_the_same_calculation(ann: Caller) -> None:
    coupon(ann.shop, usage_limit=1)
    ann.shop.offer("TEA", 129999)
    items = [{"sku": "TEA"}]
    made = ann.order(items=items, discount_code="save10")
    assert {name: made[name] for name in ("subtotal", "discount_amount", "tax", "total")} == {
        name: SAVE10[name] for name in ("subtotal", "discount_amount", "tax", "total")
    }
    assert made["items"] == [{"sku": "TEA", "name": "A tea", "quantity": 1, "unit_price": 1299.99}]
    assert uses(ann.shop) == (1, 0)
    late = ann.order(items=items, discount_code="SAVE10")  # its only use is promised
    assert (late["discount_code"], late["total"]) == (None, 1403.99)
    ann.pay(made["id"])
    assert uses(ann.shop) == (0, 1)
    own = ann.order(items=[{"name": "Own", "quantity": 3, "unit_price": 0.35}])
    assert (own["subtotal"], own["tax"], own["total"]) == (1.05, 0.08, 1.13)


def test_a_cancelled_order_gives_its_code_back(ann: Caller) -> None:
    coupon(ann.shop, usage_limit=1)
    made = ann.order(subtotal=10, discount_code="SAVE10")["id"]
    assert ann.move(made, "cancelled").json["status"] == "cancelled"
    assert uses(ann.shop) == (0, 0)


def test_nothing_due_is_paid_without_a_payment(ann: Caller) -> None:
    coupon(ann.shop, "ALL", 100)
    made = ann.order(subtotal=9.99, discount_code="all")
    assert made["total"] == 0
    assert ann.pay(made["id"]).json["order"]["status"] == "paid"
    assert ann.call("GET", f"/orders/{made['id']}").json["payment_intent_id"] is None
    assert refused(ann.pay(made["id"])) == (400, {"error": "Order is already paid"})


def test_orders_that_cannot_be(ann: Caller) -> None:
    cases: list[tuple[Any, str]] = [
        ({}, "Missing required field: subtotal"),
        ({"items": []}, "Invalid value for field: items"),
        ({"items": [{"sku": "NOPE"}]}, "Missing required field: items.0.unit_price"),
        ({"items": [{"unit_price": 1, "quantity": 0}]}, "Invalid value for field: items.0.quantity"),
        ({"items": [{"unit_price": 1.005}]}, "Invalid value for field: items.0.unit_price"),
        ({"items": [{"unit_price": 1}], "subtotal": 1}, "Invalid value for field: subtotal"),
        ({"subtotal": 1, "discount_code": 7}, "Invalid value for field: discount_code"),
        ({"subtotal": 1, "total": 1}, "Invalid value for field: total"),
        ({"items": [{"unit_price": 9e13, "quantity": 9}]}, "The order costs too much"),
    ]
    for body, error in cases:
        assert refused(ann.call("POST", "/orders", body)) == (400, {"error": error})


def test_an_order_goes_its_way_and_no_other(ann: Caller) -> None:
    made = ann.order()["id"]
    assert refused(ann.move(made, "shipped")) == (
        400,
        {"error": "Order is pending and cannot become shipped"},
    )
    assert refused(ann.move(made, "paid")) == (400, {"error": "Invalid value for field: status"})
    ann.pay(made)
    for status in ("shipped", "delivered"):
        assert ann.move(made, status).json["status"] == status
        assert refused(ann.move(made, status)) == (400, {"error": f"Order is already {status}"})
    assert ann.move(made, "cancelled").json == {"error": "Order is delivered and cannot become cancelled"}
    for unknown in ("4711", "x", "9" * 40, "3000000000"):
        assert refused(ann.move(unknown, "shipped")) == (404, {"error": "Order not found"})  # type: ignore[arg-type]


def test_cancelling_a_paid_order_gives_the_money_back_once(ann: Caller) -> None:
    made = ann.order(subtotal=100)["id"]
    ann.pay(made)
    intent_id = ann.call("GET", f"/orders/{made}").json["payment_intent_id"]
    refunds.create(ann.actor, intent_id, 800)
    assert ann.move(made, "cancelled").json["status"] == "cancelled"
    assert ann.move(made, "cancelled").status_code == 400
    with reading() as db:
        sent = list(db.scalars(select(Refund).where(Refund.intent_id == intent_id).order_by(Refund.id)))
    assert [refund.amount for refund in sent] == [800, 10000]
    for refund in sent:
        refunds.send(refund.id)
    assert intents.get(ann.actor, intent_id).amount_refunded == 10800


def test_who_sees_which_order(ann: Caller, shop: Shop) -> None:
    roles = {"orders:read", "orders:write"}
    from app.services.access import roles as roles_service

    roles_service.create(ann.actor, "clerk", sorted(roles))
    bob = Caller(ann.client, shop, "clerk", "bob@shop.test")
    mine, his = ann.order()["id"], bob.order()["id"]
    shop.pay(shop.session())  # the order of a checkout is in the same store
    everything = [row["id"] for row in ann.call("GET", "/orders").json["data"]]
    assert everything == [his + 1, his, mine]
    assert [row["id"] for row in bob.call("GET", "/orders").json["data"]] == [his]
    assert bob.call("GET", f"/orders/{his}").json["user_id"] == bob.number
    for number in (mine, his + 1):
        assert refused(bob.call("GET", f"/orders/{number}")) == (404, {"error": "Order not found"})
    assert bob.move(his, "cancelled").status_code == 403
    stranger = Caller(ann.client, make("Other"), email="eve@other.test")
    assert stranger.call("GET", f"/orders/{mine}").status_code == 404
    assert stranger.move(mine, "cancelled").status_code == 404
    assert stranger.call("GET", "/orders").json["data"] == []


def test_lists_come_in_pages_and_by_status(ann: Caller) -> None:
    numbers = [ann.order(subtotal=1)["id"] for _ in range(4)]
    ann.pay(numbers[1])
    first = ann.call("GET", "/orders?limit=3").json
    assert [row["id"] for row in first["data"]] == numbers[:0:-1]
    rest = ann.call("GET", f"/orders?limit=3&cursor={first['next_cursor']}").json
    assert ([row["id"] for row in rest["data"]], rest["has_more"]) == (numbers[:1], False)
    assert [row["id"] for row in ann.call("GET", "/orders?status=paid").json["data"]] == [numbers[1]]
    for wrong in ("limit=0", "limit=101", "status=lost", "cursor=!", "cursor=YQ"):
        assert ann.call("GET", f"/orders?{wrong}").status_code == 400


def test_cancelling_the_order_of_a_checkout_undoes_the_checkout(ann: Caller, shop: Shop) -> None:
    session = shop.pay(shop.session())
    [row] = ann.call("GET", "/orders").json["data"]
    assert (row["status"], row["user_id"], row["total"]) == (
        "paid",
        None,
        session.totals["grand_total"] / 100,
    )
    assert ann.move(row["id"], "cancelled").json["status"] == "cancelled"
    assert sessions.get(shop.actor, session.id).status == "failed"
    assert shop.left("MUG")[2] == 0
    assert shop.intent(session).amount_refunding == session.totals["grand_total"]


def test_other_addresses_answer_in_this_surfaces_form(ann: Caller) -> None:
    answer = ann.client.delete("/api/orders/1")
    assert refused(answer) == (405, {"error": "Method not allowed"})
    assert refused(ann.client.get("/api/payments/nothing")) == (404, {"error": "Not found"})
    assert ann.client.get("/api/keys/nothing").json["code"] == "RESOURCE_NOT_FOUND"
