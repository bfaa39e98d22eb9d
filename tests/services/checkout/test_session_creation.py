"""Making a session: exact totals, stored with their inputs, and everything that is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.db import reading
from app.domain.actor import Actor, Mode
from app.domain.errors import DomainError, InvalidRequest, NotFound, Unprocessable
from app.models.checkout.calculation import Calculation
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.providers.base import MAX_LINES, CartLine, CartSnapshot
from app.services.checkout import sessions, totals
from app.services.checkout.drafts import SessionDraft
from app.services.events import timeline
from tests import catalogue
from tests.shops import Shop, make


def draft(**values: Any) -> SessionDraft:
    return SessionDraft(surface="checkout", **values)


def one_line(quantity: int = 1, price: int = 100, line_id: str = "line_1") -> CartLine:
    return CartLine(line_id, "MUG", "Mug", quantity, price)


def configured(actor: Actor, **settings: Any) -> Actor:
    return replace(actor, tenant=replace(actor.tenant, settings=settings))


def test_the_contracts_cart_costs_what_the_contract_says(shop: Shop) -> None:
    catalogue.cart(shop)
    catalogue.coupon(shop)
    catalogue.tax(shop, "8")
    made = sessions.create(
        shop.actor, draft(cart_id="cart_123", currency="GBP", promotion_codes=("save10 ",))
    )
    # 10 % of 49.95 rounded down, 8 % of the 44.96 left rounded half up (OP-29, OP-70).
    assert made.totals == {
        "currency": "GBP",
        "sub_total": 4995,
        "discount_total": 499,
        "tax_total": 360,
        "shipping_total": 0,
        "fee_total": 0,
        "grand_total": 4856,
    }
    assert made.status == "created"
    assert made.version == 1
    assert made.cart_snapshot == {"currency": "GBP", "lines": catalogue.LINES}
    assert (made.expires_at - made.created_at).total_seconds() == pytest.approx(3600, abs=1)


def test_the_calculation_can_be_redone_from_what_is_stored(shop: Shop) -> None:
    catalogue.cart(shop)
    catalogue.coupon(shop)
    made = sessions.create(shop.actor, draft(cart_id="cart_123", promotion_codes=("SAVE10",)))
    assert made.calculation_id is not None
    kept = totals.get(shop.actor, made.calculation_id)
    assert kept.outputs["totals"] == made.totals
    assert kept.inputs["lines"] == catalogue.LINES
    assert kept.inputs["promotions"] == [{"code": "SAVE10", "percent": "10"}]
    assert kept.inputs["tax"] == {"name": "Tax", "percent": "8"}
    rows = kept.outputs["lines"]
    assert sum(row["line_total"] for row in rows) == made.grand_total
    assert [row["adjustments"][0]["amount"] for row in rows] == [-300, -199]


def test_an_unknown_code_is_an_issue_and_not_an_error(shop: Shop) -> None:
    made = shop.session(promotion_codes=("NOPE",))
    assert made.applied_promotions == []
    assert made.validation_issues == [
        {"code": "promotion_invalid", "explain": {"reason": "unknown_code", "promotion_code": "NOPE"}}
    ]


def test_its_birth_is_told(shop: Shop) -> None:
    made = shop.session()
    [entry] = timeline.of_checkout(shop.actor, made.id)
    assert (entry.type, entry.to_status, entry.actor_id) == ("checkout.created", "created", shop.actor.id)
    assert entry.data["object"]["totals"]["grand_total"] == 1620


def test_another_merchants_cart_and_session_are_not_found(shop: Shop) -> None:
    catalogue.cart(shop)
    other = make("Other shop")
    with pytest.raises(NotFound) as cart:
        sessions.create(other.actor, draft(cart_id="cart_123"))
    assert cart.value.code == "cart_not_found"
    mine = shop.session()
    for stranger in (other.actor, replace(shop.actor, mode=Mode.LIVE)):
        with pytest.raises(NotFound):
            sessions.get(stranger, mine.id)
        with pytest.raises(NotFound):
            sessions.get_public(stranger, mine.public_id)
        assert sessions.list_page(stranger).data == []


def test_lists_page_newest_first(shop: Shop) -> None:
    made = [shop.session().id for _ in range(5)]
    first = sessions.list_page(shop.actor, limit=3)
    rest = sessions.list_page(shop.actor, limit=3, cursor=first.next_cursor)
    assert [row.id for row in (*first.data, *rest.data)] == made[::-1]
    assert (first.has_more, rest.has_more) == (True, False)


BAD: dict[str, tuple[Callable[[], SessionDraft], type[DomainError], str]] = {
    "nothing to buy": (draft, InvalidRequest, "invalid_request"),
    "no such cart": (lambda: draft(cart_id="cart_9"), NotFound, "cart_not_found"),
    "an empty cart": (lambda: draft(cart=CartSnapshot("GBP", ())), Unprocessable, "empty_cart"),
    "another currency than the cart's": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(),)), currency="USD"),
        Unprocessable,
        "unsupported_currency",
    ),
    "no currency at all": (
        lambda: draft(cart=CartSnapshot("ZZZ", (one_line(),))),
        Unprocessable,
        "unsupported_currency",
    ),
    "a quantity of nothing": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(0),))),
        InvalidRequest,
        "invalid_request",
    ),
    "a price below nothing": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(1, -1),))),
        InvalidRequest,
        "invalid_request",
    ),
    "two lines of one name": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(), one_line()))),
        InvalidRequest,
        "invalid_request",
    ),
    "more than numbers hold": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(1000, 2**53),))),
        Unprocessable,
        "tx_limit_exceeded",
    ),
    "more lines than a cart has": (
        lambda: draft(
            cart=CartSnapshot("GBP", tuple(one_line(line_id=f"l{n}") for n in range(MAX_LINES + 1)))
        ),
        Unprocessable,
        "tx_limit_exceeded",
    ),
    "a way back with a password in it": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(),)), success_url="https://me:you@shop.example/"),
        InvalidRequest,
        "invalid_request",
    ),
    "a way back that is a script": (
        lambda: draft(cart=CartSnapshot("GBP", (one_line(),)), cancel_url="javascript:alert(1)"),
        InvalidRequest,
        "invalid_request",
    ),
    "a way back with a backslash": (
        lambda: draft(
            cart=CartSnapshot("GBP", (one_line(),)), success_url="https://shop.example\\@evil.example"
        ),
        InvalidRequest,
        "invalid_request",
    ),
}


def test_what_cannot_be_is_refused_and_leaves_nothing(shop: Shop) -> None:
    for case, (build, error, code) in BAD.items():
        with pytest.raises(error) as refused:
            sessions.create(shop.actor, build())
        assert refused.value.code == code, case
        with reading() as db:
            kept = [db.query(model).count() for model in (CheckoutSession, Calculation)]
            told = db.query(JournalEntry).filter_by(entity="checkout").count()
        assert (kept, told) == ([0, 0], 0), case


def test_the_merchants_own_bounds_hold(shop: Shop) -> None:
    cart = CartSnapshot("GBP", (one_line(1, 1000),))
    small = configured(shop.actor, max_amount=1079)
    with pytest.raises(Unprocessable) as over:
        sessions.create(small, draft(cart=cart))
    assert over.value.code == "tx_limit_exceeded"
    assert sessions.create(configured(shop.actor, max_amount=1080), draft(cart=cart)).grand_total == 1080
    with pytest.raises(Unprocessable) as currency:
        sessions.create(configured(shop.actor, currencies=["EUR"]), draft(cart=cart))
    assert currency.value.code == "unsupported_currency"


def test_live_mode_sends_shoppers_back_to_allowed_hosts_over_https_only(shop: Shop) -> None:
    live = replace(configured(shop.actor, redirect_hosts=["shop.example"]), mode=Mode.LIVE)
    cart = CartSnapshot("GBP", (one_line(),))
    for bad in ("http://shop.example/", "https://evil.example/"):
        with pytest.raises(InvalidRequest) as refused:
            sessions.create(live, draft(cart=cart, success_url=bad))
        assert refused.value.field == "success_url"
    assert sessions.create(live, draft(cart=cart, success_url="https://shop.example/done")).mode == "live"
