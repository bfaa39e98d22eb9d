"""`flask demo`: exactly the JSON of the guide, a shop that works, and keys that roll."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from app.db import reading
from app.domain.errors import Unauthenticated
from app.models.access.tenant import Tenant
from app.models.catalogue.stored_value import GiftCard, StoreCredit
from app.providers import registry
from app.providers.base import Scope
from app.services.access import keys, users
from app.services.checkout import links, sessions
from app.services.checkout.drafts import SessionDraft

KEYS = [
    "tenant_id", "tenant_name", "user", "mfa_user", "viewer", "keys", "inbound_secrets", "cart_id",
    "product_id", "price_id", "recurring_price_id", "coupon", "gift_card", "store_credit_customer",
    "link_slug", "customer_id", "merchant_account_id",
]  # fmt: skip


def run(app: Flask, *arguments: str) -> dict[str, Any]:
    result = app.test_cli_runner().invoke(args=["demo", "--json", *arguments])
    assert result.exit_code == 0, result.output
    made: dict[str, Any] = json.loads(result.stdout)
    return made


def test_it_prints_exactly_that_json(app: Flask) -> None:
    made = run(app)
    assert sorted(made) == sorted(KEYS)
    assert made["tenant_name"] == "Demo Store"
    assert [made[who]["email"] for who in ("user", "mfa_user", "viewer")] == [
        "owner@demo.test",
        "secure@demo.test",
        "viewer@demo.test",
    ]
    assert [made[who]["totp_secret"] is None for who in ("user", "mfa_user", "viewer")] == [True, False, True]
    assert sorted(made["inbound_secrets"]) == ["fraud", "kyc", "payment", "stripe", "threeds"]
    assert made["inbound_secrets"]["stripe"].startswith("whsec_")
    assert (made["cart_id"], made["coupon"], made["gift_card"]) == ("cart_123", "SAVE10", "GIFT123")
    assert (made["link_slug"], made["customer_id"]) == ("summer-promo", "cust_123")
    roles = {}
    for who in ("user", "mfa_user", "viewer"):
        person = users.by_email(made[who]["email"])
        assert person is not None
        roles[who] = person.role
    assert roles == {"user": "payments_admin", "mfa_user": "admin", "viewer": "read_only"}


def test_its_shop_can_be_bought_in(app: Flask) -> None:
    made = run(app)
    actor = keys.authenticate(made["keys"]["secret"])
    session = sessions.create(
        actor, SessionDraft(surface="checkout", cart_id="cart_123", promotion_codes=("SAVE10",))
    )
    assert session.totals is not None
    assert [session.totals[name] for name in ("sub_total", "discount_total", "tax_total", "grand_total")] == [
        4995,
        499,
        360,
        4856,
    ]
    scope = Scope(actor.tenant, "test")
    ways = {o.shipping_option_id: o for o in registry.shipping(actor.tenant).options(scope, "GBP", None)}
    next_day = ways["ship_1"]
    assert (next_day.label, next_day.cost, next_day.carrier, next_day.service_code) == (
        "Next day", 399, "DHL", "express",
    )  # fmt: skip
    skus = [line["sku"] for line in session.cart_snapshot["lines"]]
    stock = registry.inventory(actor.tenant).available(scope, skus)
    assert all(stock[sku] > 100 for sku in skus)
    paid = links.pay("summer-promo")
    assert (paid.grand_total, paid.currency, paid.reference) == (9900, "USD", "promo_ref")
    with reading() as db:
        gift, credit = db.query(GiftCard).one(), db.query(StoreCredit).one()
    assert (gift.code, gift.balance, gift.currency) == ("GIFT123", 2000, "GBP")
    assert credit.customer_id == "cust_123"


def test_again_rolls_keys_and_passwords_and_adds_nothing(app: Flask) -> None:
    first, second = run(app), run(app)
    assert first["tenant_id"] == second["tenant_id"]
    assert first["product_id"] == second["product_id"]
    assert first["user"]["password"] != second["user"]["password"]
    with pytest.raises(Unauthenticated):
        keys.authenticate(first["keys"]["secret"])
    assert keys.authenticate(second["keys"]["secret"]).tenant_id == second["tenant_id"]
    assert keys.authenticate(second["keys"]["publishable"]).kind == "publishable_key"
    with reading() as db:
        assert (db.query(Tenant).count(), db.query(GiftCard).count()) == (1, 1)


def test_another_merchant_has_its_own_everything(app: Flask) -> None:
    demo, other = run(app), run(app, "--tenant", "Other Shop")
    for name in ("tenant_id", "product_id", "price_id", "recurring_price_id", "link_slug"):
        assert demo[name] != other[name]
    assert other["tenant_name"] == "Other Shop"
    assert other["cart_id"] == "cart_123"
    actor = keys.authenticate(other["keys"]["secret"])
    assert (
        sessions.create(actor, SessionDraft(surface="checkout", cart_id="cart_123")).tenant_id
        == (other["tenant_id"])
    )
    assert run(app, "--tenant", "Demo")["tenant_id"] not in (demo["tenant_id"], other["tenant_id"])


def test_a_name_that_cannot_be_is_refused_in_words(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["demo", "--json", "--tenant", "!!!"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "reserved" in result.stderr
