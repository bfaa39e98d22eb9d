"""Carts, prices, codes, tax and delivery of a merchant's own systems: asked with nothing open, never trusted."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.db import reading, transaction
from app.domain.errors import DomainError, NotFound, ProviderUnavailable, Unprocessable
from app.models.access.tenant import Tenant
from app.models.checkout.calculation import Calculation
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.models.operations.idempotency import IdempotencyRecord
from app.providers.remote import caller
from app.services.access import keys
from app.services.checkout import calculations, details, hosted, sessions, shipping, validation
from app.services.checkout.details import Change
from app.services.checkout.drafts import SessionDraft
from app.services.operations import consulting
from tests.providers_apart import Systems
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds", "nothing_open")

READINGS = ("carts", "pricing", "promotions", "tax", "shipping")
ADDRESS = {"line1": "1 High Street", "city": "London", "postal_code": "SW1A 1AA", "country": "GB"}
CART = {
    "currency": "GBP",
    "lines": [
        {"line_id": "a", "sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500},
        {"line_id": "b", "sku": "TEA", "name": "Tea", "quantity": 1, "unit_price": 1000},
    ],
}


def option(code: str, cost: int) -> dict[str, Any]:
    return {
        "shipping_option_id": code,
        "label": code.title(),
        "carrier": "DHL",
        "service_code": "express",
        "cost": cost,
        "days_min": 1,
        "days_max": 2,
    }


@pytest.fixture
def own(shop: Shop, systems: Systems) -> Shop:
    """A shop whose readings are all its merchant's own."""
    systems.knows(
        carts={"c1": CART},
        prices={"MUG": 1200, "TEA": 1000},
        coupons={"TEN": {"percent": "10"}, "GONE": {"percent": 5, "limit": 0}},
        tax_by_country={"": "20", "DE": "19"},
        shipping=[option("next_day", 900), option("standard", 300)],
    )
    return systems.serve(shop, *READINGS)


def begin(shop: Shop, **draft: Any) -> CheckoutSession:
    return sessions.create(shop.actor, SessionDraft(surface="checkout", cart_id="c1", **draft))


def stored(shop: Shop) -> tuple[int, ...]:
    """How many sessions, calculations and facts there are."""
    with reading() as session:
        return tuple(
            session.scalar(
                select(func.count()).select_from(model).where(model.tenant_id == shop.actor.tenant_id)
            )
            or 0
            for model in (CheckoutSession, Calculation, JournalEntry, IdempotencyRecord)
        )


def test_a_session_is_made_of_what_the_systems_say(own: Shop, systems: Systems) -> None:
    session = begin(own, promotion_codes=(" ten ", "GONE", "NEVER"))
    assert [line["unit_price"] for line in session.cart_snapshot["lines"]] == [1200, 1000]
    # 3400 less 10 % is 3060; 20 % of it is 612.
    assert session.totals == {
        "currency": "GBP",
        "sub_total": 3400,
        "discount_total": 340,
        "tax_total": 612,
        "shipping_total": 0,
        "fee_total": 0,
        "grand_total": 3672,
    }
    assert {
        issue["explain"]["promotion_code"]: issue["explain"]["reason"] for issue in session.validation_issues
    } == {
        "GONE": "used_up",
        "NEVER": "unknown_code",
    }
    asked = [(seen["call"]["operation"], seen["call"]["mode"]) for seen in systems.seen()]
    assert asked == [
        (f"{name}", "test") for name in ("carts.get", "pricing.price", "promotions.resolve", "tax.rate")
    ]
    [rate] = systems.seen("tax")
    assert rate["call"]["merchant_id"] == own.actor.tenant.public_id
    assert rate["call"]["data"]["currency"] == "GBP"


def test_a_cart_that_is_not_there_is_not_found(own: Shop) -> None:
    with pytest.raises(NotFound) as missing:
        sessions.create(own.actor, SessionDraft(surface="checkout", cart_id="c2"))
    assert missing.value.code == "cart_not_found"
    with pytest.raises(Unprocessable) as refused:
        begin(own, currency="EUR")
    assert refused.value.code == "unsupported_currency"


def test_what_a_browser_sends_costs_what_the_system_says_or_is_not_sold(
    own: Shop, systems: Systems, client: FlaskClient
) -> None:
    _, browser = keys.create(own.actor, "page", kind="pk")
    line = {"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1}
    headers = {"Authorization": f"Bearer {browser}"}
    made = client.post("/v1/checkout/sessions", json={"cart_snapshot": {"lines": [line]}}, headers=headers)
    assert made.json is not None
    assert (made.status_code, made.json["totals"]["sub_total"]) == (201, 1200)
    odd = {**line, "sku": "ODD"}
    refused = client.post("/v1/checkout/sessions", json={"cart_snapshot": {"lines": [odd]}}, headers=headers)
    assert refused.json is not None
    assert (refused.status_code, refused.json["code"]) == (422, "no_price")
    assert refused.json["explain"]["lines"] == ["line_1"]


def test_over_http_a_key_makes_one_session_and_a_failure_leaves_nothing(
    own: Shop, systems: Systems, client: FlaskClient
) -> None:
    headers = {**own.bearer, "Idempotency-Key": "once"}
    before = stored(own)
    systems.misbehaves("tax.rate", "status", status=500)
    failed = client.post("/v1/checkout/sessions", json={"cart_id": "c1"}, headers=headers)
    assert (failed.status_code, failed.json and failed.json["code"]) == (503, "provider_unavailable")
    assert failed.json is not None
    assert failed.json["explain"] == {
        "reason": "provider_unavailable",
        "provider": "tax",
        "problem": "answered 500",
    }
    assert failed.headers["Retry-After"]
    assert stored(own) == before
    systems.behaves()
    made = client.post("/v1/checkout/sessions", json={"cart_id": "c1"}, headers=headers)
    calls = len(systems.seen())
    again = client.post("/v1/checkout/sessions", json={"cart_id": "c1"}, headers=headers)
    assert made.status_code == again.status_code == 201
    assert made.json == again.json
    assert len(systems.seen()) == calls
    assert stored(own)[0] == before[0] + 1


#: Operation → answers that cannot be.
WRONG: tuple[tuple[str, Any], ...] = (
    ("tax.rate", {"name": "VAT", "percent": -1}),
    ("carts.get", {"cart": {**CART, "lines": [{**CART["lines"][0], "unit_price": -5}]}}),  # type: ignore[index]
    ("carts.get", {"cart": {**CART, "currency": "XXX1"}}),
    ("pricing.price", {"currency": "EUR", "lines": [{"line_id": "a", "unit_price": 1}]}),
    ("promotions.resolve", {"applied": [{"code": "OTHER", "percent": 10}], "refused": {}}),
)


@pytest.mark.parametrize(("operation", "answer"), WRONG)
def test_what_cannot_be_is_no_answer_and_nothing_is_stored(
    own: Shop, systems: Systems, operation: str, answer: Any
) -> None:
    systems.says(operation, answer)
    before = stored(own)
    with pytest.raises(ProviderUnavailable) as failed:
        begin(own, promotion_codes=("TEN",))
    assert (failed.value.provider, failed.value.problem) == (
        operation.partition(".")[0],
        "answered what cannot be",
    )
    assert stored(own) == before


def test_delivery_is_offered_chosen_and_dropped_by_the_system(own: Shop, systems: Systems) -> None:
    session = begin(own)
    currency, offered = shipping.options(own.actor, session.id)
    assert (currency, [o.shipping_option_id for o in offered]) == ("GBP", ["standard", "next_day"])
    chosen = shipping.select(own.actor, session.id, "next_day")
    assert chosen.totals is not None
    assert chosen.totals["shipping_total"] == 900
    systems.knows(shipping=[option("standard", 300)])
    moved = details.set_shipping_address(own.actor, session.id, ADDRESS)
    assert (moved.selected_shipping, moved.totals_stale) == (None, True)
    assert systems.seen("shipping")[-1]["call"]["data"]["address"]["country"] == "GB"
    systems.says("shipping.options", {"currency": "EUR", "options": []})
    with pytest.raises(ProviderUnavailable):
        shipping.options(own.actor, session.id)
    systems.says("shipping.options", {"currency": "GBP", "options": [option("free", -1)]})
    version = own.read(session).version
    with pytest.raises(ProviderUnavailable):
        shipping.select(own.actor, session.id, "free")
    assert own.read(session).version == version


def test_a_second_look_tells_what_has_changed(own: Shop, systems: Systems) -> None:
    session = begin(own, promotion_codes=("TEN",))
    shipping.select(own.actor, session.id, "next_day")
    systems.knows(
        prices={"MUG": 1300, "TEA": 1000},
        coupons={},
        tax_by_country={"": "10"},
        shipping=[option("next_day", 950)],
    )
    blocked = {finding.code for finding in validation.blockers(own.actor, session.id)}
    assert blocked == {"tax_mismatch", "promotion_invalid"}
    looked, found = validation.refresh(own.actor, session.id)
    assert {finding.check: finding.code for finding in found} == {
        "pricing": "price_changed",
        "shipping": "shipping_price_changed",
        "tax": "tax_mismatch",
        "promotions": "promotion_invalid",
        "fraud": None,
    }
    assert looked.totals is not None
    assert (looked.totals["tax_total"], looked.totals["shipping_total"]) == (340, 950)
    systems.knows(prices={"TEA": 1000})
    [pricing] = [f for f in validation.refresh(own.actor, session.id)[1] if f.check == "pricing"]
    assert (pricing.code, pricing.explain) == ("no_price", {"reason": "no_price", "lines": ["a"]})
    systems.misbehaves("promotions.resolve", "drop")
    before = own.read(session)
    for look in (validation.refresh, validation.blockers):
        with pytest.raises(ProviderUnavailable):
            look(own.actor, session.id)
    after = own.read(session)
    assert (after.version, after.totals) == (before.version, before.totals)


def test_codes_are_changed_and_quantities_priced_anew(own: Shop, systems: Systems) -> None:
    session = begin(own)
    changed = details.change(own.actor, session.id, Change(promotion_codes=("TEN",)))
    assert [p["code"] for p in changed.applied_promotions] == ["TEN"]
    systems.knows(carts={"c1": {**CART, "lines": CART["lines"][:1]}})
    one = begin(own, hosted=True, options={"allow_quantity": True, "allow_coupon_code": True})
    systems.knows(prices={"MUG": 1100})
    more = hosted.change_quantity(own.actor, one.id, 5)
    assert more.totals is not None
    assert (more.totals["sub_total"], more.cart_snapshot["lines"][0]["unit_price"]) == (5500, 1100)
    assert [p["code"] for p in hosted.apply_coupon(own.actor, one.id, "ten").applied_promotions] == ["TEN"]
    with pytest.raises(Unprocessable):
        hosted.apply_coupon(own.actor, one.id, "never")


def test_a_calculation_has_the_time_that_its_caller_gives_it(
    own: Shop, systems: Systems, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "TRY_SECONDS", 5.0)
    session = begin(own)
    systems.misbehaves("tax.rate", "slow")
    path = f"/v1/checkout/sessions/{session.id}/calculate"
    for key in ({}, {"Idempotency-Key": "calc-1"}):
        late = client.post(path, json={"force": True, "timeout_ms": 200}, headers={**own.bearer, **key})
        assert (late.status_code, late.json and late.json["code"]) == (500, "calculation_timeout")
    after = own.read(session)
    assert (after.calculation_id, after.version) == (session.calculation_id, session.version)
    systems.behaves()
    fresh = calculations.calculate(own.actor, session.id, force=True, timeout_ms=5000)
    assert fresh["calculation_id"] != session.calculation_id


def test_an_amount_that_a_merchant_names_is_not_priced(own: Shop, systems: Systems) -> None:
    session = own.session(price=777, surface="merchant", options={"tax": "included"})
    assert session.totals is not None
    assert session.totals["grand_total"] == 777
    assert systems.seen() == []


def test_who_asks_for_ever_is_stopped(own: Shop, systems: Systems, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consulting, "MAX_QUESTIONS", 2)
    with pytest.raises(ProviderUnavailable) as stopped:
        begin(own, promotion_codes=("TEN",))
    assert stopped.value.problem == "had to be asked too often"
    assert len(systems.seen()) == 2


def test_a_use_case_stays_in_its_time_however_slow_each_system_is(
    own: Shop, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consulting, "MAX_SECONDS", 0.0)
    with pytest.raises(ProviderUnavailable) as stopped:
        begin(own)
    assert (stopped.value.problem, systems.seen()) == ("took too long", [])


def test_an_answer_is_good_for_one_use_case(own: Shop, systems: Systems) -> None:
    begin(own)
    begin(own)
    assert len(systems.seen("carts")) == len(systems.seen("tax")) == 2
    keys = [seen["headers"]["idempotency-key"] for seen in systems.seen()]
    assert len(set(keys)) == len(keys)


def test_without_a_secret_nothing_is_asked(own: Shop, systems: Systems) -> None:
    with transaction() as session:
        session.get_one(Tenant, own.actor.tenant_id).inbound_secrets = {}
    with pytest.raises(DomainError) as failed:
        begin(own)
    assert isinstance(failed.value, ProviderUnavailable)
    assert (failed.value.problem, systems.seen()) == ("has no secret to sign with", [])
