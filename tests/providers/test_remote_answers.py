"""What a merchant's own systems may answer, and everything else, which is no answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from app.domain.actor import TenantProfile
from app.domain.errors import ProviderUnavailable
from app.providers.base import (
    CartLine,
    CartSnapshot,
    OrderDraft,
    OrderRefused,
    PlacedOrder,
    ReceiptDraft,
    Scope,
    ShippingOption,
    TaxRateQuote,
)
from app.providers.holding import HeldLine, Hold, Promotion, PromotionAnswer
from app.providers.remote import questions
from app.providers.remote.billing import HttpBilling
from app.providers.remote.goods import HttpCarts, HttpPricing
from app.providers.remote.inventory import HttpInventory
from app.providers.remote.orders import HttpOrders
from app.providers.remote.places import HttpShipping, HttpTaxes
from app.providers.remote.promotions import HttpPromotions

SCOPE = Scope(TenantProfile("ten_1", "shop", "Shop", "GBP", public_id="m_1"), "test")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
URL = "https://systems.example.com/till"
LINES = (CartLine("a", "MUG", "Mug", 2, 1500), CartLine("b", "TEA", "Tea", 1, 1000))
ORDER = OrderDraft("fin_1", "chk_1", None, "GBP", (LINES[0].as_dict(),), {"grand_total": 3000})
RECEIPT = ReceiptDraft("checkout:chk_1", "rcpt_1", 3000, "GBP", {}, {}, (), {}, None, NOW)
HOLD = Hold("chk_1.0", NOW)
LINE = {"line_id": "a", "sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500}
OPTION = {
    "shipping_option_id": "next",
    "label": "Next day",
    "carrier": "DHL",
    "service_code": "express",
    "cost": 399,
    "days_min": 1,
    "days_max": 1,
}


class _Always(dict[str, Any]):
    """The same answer to every question."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._answer = answer

    def get(self, key: str, default: Any = None) -> Any:
        return self._answer

    def __bool__(self) -> bool:
        return True


@contextmanager
def answering(answer: Any) -> Iterator[None]:
    token = questions.answers.set(_Always(answer))
    try:
        yield
    finally:
        questions.answers.reset(token)


def ask(name: str) -> Any:
    """Ask a system the one thing that is tried here."""
    match name:
        case "carts":
            return HttpCarts(URL).get(SCOPE, "c1")
        case "pricing":
            return HttpPricing(URL).price(SCOPE, "GBP", LINES)
        case "tax":
            return HttpTaxes(URL).rate(SCOPE, {"country": "GB"}, currency="GBP", lines=LINES)
        case "shipping":
            return HttpShipping(URL).options(SCOPE, "GBP", None, lines=LINES)
        case "promotions":
            return HttpPromotions(URL).resolve(SCOPE, [" ten ", "TEN", "five", " "])
        case "codes":
            return HttpPromotions(URL).hold(SCOPE, ["TEN", "FIVE"], HOLD)
        case "inventory":
            return HttpInventory(URL).hold(SCOPE, LINES, hold=HOLD)
        case "orders":
            return HttpOrders(URL).create(SCOPE, ORDER)
        case "receipt":
            return HttpBilling(URL).issue_receipt(SCOPE, RECEIPT)
        case "available":
            return HttpInventory(URL).available(SCOPE, ["TEA", "MUG", "MUG"])
    raise AssertionError(name)


GOOD: tuple[tuple[str, Any, Any], ...] = (
    ("carts", {"cart": None}, None),
    (
        "carts",
        {"cart": {"currency": "EUR", "lines": [LINE], "more": 1}},
        CartSnapshot("EUR", (CartLine("a", "MUG", "Mug", 2, 1500),)),
    ),
    (
        "pricing",
        {
            "currency": "GBP",
            "lines": [{"line_id": "b", "unit_price": 0}, {"line_id": "a", "unit_price": 7}],
        },
        [CartLine("a", "MUG", "Mug", 2, 7), CartLine("b", "TEA", "Tea", 1, 0)],
    ),
    ("tax", {"name": "VAT", "percent": 20}, TaxRateQuote("VAT", Decimal(20))),
    ("tax", {"name": "VAT", "percent": 8.25}, TaxRateQuote("VAT", Decimal("8.25"))),
    ("tax", {"name": "VAT", "percent": "19.0000"}, TaxRateQuote("VAT", Decimal("19.0000"))),
    ("tax", {"name": "None", "percent": 0}, TaxRateQuote("None", Decimal(0))),
    ("shipping", {"currency": "GBP", "options": []}, []),
    (
        "shipping",
        {"currency": "GBP", "options": [OPTION, {**OPTION, "shipping_option_id": "slow", "cost": 0}]},
        [
            ShippingOption("slow", "Next day", "DHL", "express", 0, 1, 1),
            ShippingOption("next", "Next day", "DHL", "express", 399, 1, 1),
        ],
    ),
    (
        "promotions",
        {"applied": [{"code": "FIVE", "percent": "5"}], "refused": {"TEN": "used_up"}},
        PromotionAnswer((Promotion("FIVE", Decimal(5)),), {"TEN": "used_up"}),
    ),
    (
        "promotions",
        {"applied": [{"code": "FIVE", "percent": 5}, {"code": "TEN", "percent": 100}], "refused": {}},
        PromotionAnswer((Promotion("TEN", Decimal(100)), Promotion("FIVE", Decimal(5)))),
    ),
    ("codes", {"lost": []}, ["TEN", "FIVE"]),
    ("codes", {"lost": ["TEN"]}, ["FIVE"]),
    (
        "inventory",
        {
            "lines": [
                {"line_id": "b", "reserved_qty": 0},
                {"line_id": "a", "reserved_qty": 1, "location": "north"},
                {"line_id": "a", "reserved_qty": 1, "location": "south"},
            ]
        },
        [
            HeldLine("a", "MUG", "north", 2, 1),
            HeldLine("a", "MUG", "south", 2, 1),
            HeldLine("b", "TEA", "-", 1, 0),
        ],
    ),
    ("available", {"available": {"MUG": 3}}, {"MUG": 3}),
    ("orders", {"order_id": "shop-1", "more": 1}, PlacedOrder("shop-1")),
    ("receipt", {"receipt_id": "r-1"}, "r-1"),
)


@pytest.mark.parametrize(("name", "answer", "meant"), GOOD)
def test_a_good_answer_is_understood(name: str, answer: Any, meant: Any) -> None:
    with answering(answer):
        assert ask(name) == meant


BAD: tuple[tuple[str, Any], ...] = (
    *((name, {}) for name in ("carts", "pricing", "tax", "shipping", "promotions", "codes", "inventory")),
    ("carts", {"cart": []}),
    ("carts", {"cart": {"currency": "NOPE", "lines": [LINE]}}),
    ("carts", {"cart": {"currency": "EUR", "lines": [LINE, LINE]}}),
    ("carts", {"cart": {"currency": "EUR", "lines": [LINE] * 501}}),
    *(
        ("carts", {"cart": {"currency": "EUR", "lines": [{**LINE, **wrong}]}})
        for wrong in (
            {"unit_price": -1},
            {"unit_price": 1.5},
            {"unit_price": True},
            {"unit_price": "1500"},
            {"unit_price": 2**53 + 1},
            {"quantity": 0},
            {"quantity": 10**9},
            {"sku": ""},
            {"name": "x" * 501},
            {"line_id": None},
        )
    ),
    ("pricing", {"currency": "EUR", "lines": [{"line_id": i, "unit_price": 1} for i in "ab"]}),
    ("pricing", {"currency": "GBP", "lines": [{"line_id": "a", "unit_price": 1}]}),
    ("pricing", {"currency": "GBP", "lines": [{"line_id": i, "unit_price": 1} for i in "ac"]}),
    ("pricing", {"currency": "GBP", "lines": [{"line_id": i, "unit_price": 1} for i in "aa"]}),
    ("pricing", {"currency": "GBP", "lines": [{"line_id": i, "unit_price": -1} for i in "ab"]}),
    *(
        ("tax", {"name": "VAT", "percent": wrong})
        for wrong in (-1, 101, True, None, "", "NaN", "Infinity", "1e-9", 0.00001, [], "1,5")
    ),
    ("tax", {"name": "", "percent": 1}),
    ("tax", {"name": "x" * 101, "percent": 1}),
    ("shipping", {"currency": "EUR", "options": [OPTION]}),
    ("shipping", {"currency": "GBP", "options": [OPTION, OPTION]}),
    ("shipping", {"currency": "GBP", "options": {"next": OPTION}}),
    *(
        ("shipping", {"currency": "GBP", "options": [{**OPTION, **wrong}]})
        for wrong in ({"cost": -1}, {"cost": 1.0}, {"days_min": 2}, {"days_max": 400}, {"label": 7})
    ),
    ("promotions", {"applied": [{"code": "TEN", "percent": 10}], "refused": {}}),
    ("promotions", {"applied": [], "refused": {"TEN": "no", "FIVE": "no", "SIX": "no"}}),
    ("promotions", {"applied": [{"code": "TEN", "percent": 10}], "refused": {"TEN": "a", "FIVE": "b"}}),
    ("promotions", {"applied": [{"code": "TEN", "percent": 0}], "refused": {"FIVE": "b"}}),
    ("promotions", {"applied": [{"code": "TEN", "percent": 101}], "refused": {"FIVE": "b"}}),
    ("promotions", {"applied": [], "refused": {"TEN": "Not a code!", "FIVE": "b"}}),
    ("promotions", {"applied": [], "refused": ["TEN", "FIVE"]}),
    ("codes", {"lost": ["SIX"]}),
    ("codes", {"lost": None}),
    *(
        ("inventory", {"lines": wrong})
        for wrong in (
            [],
            [{"line_id": "a", "reserved_qty": 2}],
            [{"line_id": "a", "reserved_qty": 3}, {"line_id": "b", "reserved_qty": 1}],
            [{"line_id": "a", "reserved_qty": 2}, {"line_id": "a", "reserved_qty": 1}],
            [{"line_id": "a", "reserved_qty": -1}, {"line_id": "b", "reserved_qty": 1}],
            [{"line_id": "a", "reserved_qty": 2}, {"line_id": "c", "reserved_qty": 1}],
            [{"line_id": [], "reserved_qty": 2}, {"line_id": "b", "reserved_qty": 1}],
            [{"line_id": "a", "reserved_qty": 2, "location": "x" * 41}, {"line_id": "b", "reserved_qty": 1}],
        )
    ),
    ("available", {"available": {"POT": 1}}),
    ("available", {"available": {"MUG": -1}}),
    ("available", {"available": []}),
    *(
        ("orders", wrong)
        for wrong in ({}, {"order_id": ""}, {"order_id": "x" * 65}, {"order_id": 7}, {"refused": 7})
    ),
    ("receipt", {}),
    ("receipt", {"receipt_id": None}),
)


@pytest.mark.parametrize(("name", "answer"), BAD)
def test_anything_else_is_no_answer(name: str, answer: Any) -> None:
    with answering(answer), pytest.raises(ProviderUnavailable) as failed:
        ask(name)
    assert failed.value.problem == "answered what cannot be"


def test_what_was_not_asked_yet_says_what_to_ask_and_how_long_it_is_held() -> None:
    with pytest.raises(questions.NotAsked) as missing:
        ask("inventory")
    question = missing.value.question
    assert (question.provider, question.operation, question.url) == ("inventory", "hold", URL)
    body = question.body
    assert (body["merchant_id"], body["mode"], body["operation"]) == ("m_1", "test", "inventory.hold")
    assert body["data"]["hold_id"] == "chk_1.0"
    assert body["data"]["expires_at"] == "2026-01-01T12:10:00Z", "ten minutes after it ends here"


def test_the_same_hold_at_another_time_is_the_same_question() -> None:
    def identity(hold: Hold) -> str:
        with pytest.raises(questions.NotAsked) as missing:
            HttpInventory(URL).hold(SCOPE, LINES, hold=hold)
        return missing.value.question.identity

    later = Hold(HOLD.key, HOLD.until + timedelta(seconds=5))
    assert identity(HOLD) == identity(later)
    assert identity(HOLD) != identity(Hold("chk_1.1", HOLD.until))
    assert identity(HOLD) != identity(Hold(HOLD.key, HOLD.until, whole=True))


def test_an_order_that_is_refused_says_why() -> None:
    with answering({"refused": "not deliverable"}), pytest.raises(OrderRefused, match="not deliverable"):
        ask("orders")


def test_a_card_number_in_a_refusal_is_not_kept() -> None:
    with (
        answering({"refused": "4242 4242 4242 4242 is blocked"}),
        pytest.raises(OrderRefused, match=r"^refused$"),
    ):
        ask("orders")


def test_without_codes_nobody_is_asked() -> None:
    assert HttpPromotions(URL).resolve(SCOPE, [" ", ""]) == PromotionAnswer()
