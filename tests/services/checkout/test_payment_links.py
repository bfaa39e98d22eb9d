"""Payment links: what a payer may do, and that a limit holds however many pay at once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from app.db import reading
from app.domain.errors import Conflict, InvalidRequest, NotFound, VersionConflict
from app.kit import clock
from app.models.checkout.payment_link import PaymentLink
from app.services.access import keys
from app.services.checkout import copies, links, payments, sessions
from app.services.checkout.link_page import Asked
from app.services.checkout.link_terms import LinkDraft
from app.services.operations import settings
from tests.buyers import together
from tests.shops import CHALLENGED, NO_FUNDS, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")


ASKS = {"maxQuantity": 3, "fields": [{"key": "size", "label": "Size"}]}


def link(shop: Shop, **values: Any) -> PaymentLink:
    draft = {"title": "Boat trip", "currency": "USD", "amount": 9900, "slug": "boat-trip", **values}
    return links.create(shop.actor, LinkDraft(**draft))


def counts(made: PaymentLink) -> tuple[int, int]:
    """(held, used)."""
    with reading() as db:
        found = db.get_one(PaymentLink, made.id)
        return found.held, found.used


def test_a_payer_gets_a_page_of_half_an_hour_for_exactly_the_amount(shop: Shop) -> None:
    made = link(shop, reference="promo_ref", method_types=("card", "promptpay"))
    session = links.pay("boat-trip")
    assert (session.surface, session.grand_total, session.currency) == ("link", 9900, "USD")
    assert (session.reference, session.payment_link_id) == ("promo_ref", made.id)
    assert session.method_types == ["card", "promptpay"]
    assert session.hosted_id is not None
    assert (session.expires_at - session.created_at).total_seconds() == pytest.approx(1800, abs=1)
    assert links.pay("boat-trip", method_types=("card", "cheque")).method_types == ["card"]
    with pytest.raises(InvalidRequest) as refused:
        links.pay("boat-trip", method_types=("cheque",))
    assert refused.value.field == "methodTypes"
    with pytest.raises(InvalidRequest):
        links.pay("boat-trip", amount=9901)
    assert links.pay("boat-trip", amount=9900).grand_total == 9900


def test_a_use_is_held_then_counted(shop: Shop) -> None:
    made = link(shop, usage_limit=1)
    session = links.pay("boat-trip")
    assert counts(made) == (1, 0)
    with pytest.raises(Conflict) as refused:
        links.pay("boat-trip")
    assert refused.value.code == "link_not_payable"
    shop.pay(session)
    assert counts(made) == (0, 1)
    assert links.state(links.get(shop.actor, made.id)) == "used_up"


def test_a_use_is_given_back_once_by_cancel_expiry_or_failure(shop: Shop) -> None:
    made = link(shop, usage_limit=3)
    canceled, expired, failed = (links.pay("boat-trip") for _ in range(3))
    sessions.cancel(shop.actor, canceled.id)
    for number in range(5):
        shop.pay(failed, NO_FUNDS, nonce=f"n{number}")
    assert shop.read(failed).status == "failed"
    assert counts(made) == (1, 0)
    sessions.cancel(shop.actor, failed.id)
    with later(1801):
        sessions.expire_due()
    assert shop.read(expired).cancel_reason == "expired"
    assert counts(made) == (0, 0)


def test_a_payment_under_way_keeps_its_use(shop: Shop) -> None:
    made = link(shop, usage_limit=1)
    shop.pay(links.pay("boat-trip"), CHALLENGED)
    with later(4000):
        assert sessions.expire_due() == 0
    assert counts(made) == (1, 0)


def test_five_uses_go_to_exactly_five_of_sixteen_payers(shop: Shop) -> None:
    made = link(shop, usage_limit=5)

    def pay(number: int) -> str:
        session = links.pay("boat-trip")
        return shop.pay(session, nonce=f"n{number}").status

    results = together(16, pay)
    errors = {getattr(result, "code", repr(result)) for result in results if isinstance(result, Exception)}
    assert errors == {"link_not_payable"}
    assert results.count("completed") == 5
    assert counts(made) == (0, 5)


@pytest.mark.parametrize("amount", [None, 0, 499, 10_001])
def test_a_payer_chooses_within_the_bounds(shop: Shop, amount: int | None) -> None:
    link(shop, amount=None, min_amount=500, max_amount=10_000)
    with pytest.raises(InvalidRequest) as refused:
        links.pay("boat-trip", amount=amount)
    assert refused.value.code == "invalid_amount"
    assert links.pay("boat-trip", amount=500).grand_total == 500


WRONG: list[Any] = [
    ({"slug": "No"}, "slug"),
    ({"slug": "-a-"}, "slug"),
    ({"title": " "}, "title"),
    ({"currency": "ZZZ"}, "currency"),
    ({"amount": 0}, "amount"),
    ({"amount": None, "min_amount": 9, "max_amount": 8}, "max_amount"),
    ({"amount": 5, "min_amount": 1}, "amount"),
    ({"amount": None, "min_amount": 5, "presets": (5, 4)}, "presets"),
    ({"amount": None, "presets": (5, 5)}, "presets"),
    ({"method_types": ("cheque",)}, "method_types"),
    ({"slug": "0190a5b0-0000-7000-8000-000000000000"}, "slug"),
    ({"usage_limit": 0}, "usage_limit"),
    ({"expires_at": clock.now() - timedelta(seconds=1)}, "expires_at"),
    ({"expires_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-10)))}, "expires_at"),
]


def test_a_link_that_cannot_be_is_refused_by_its_field(shop: Shop) -> None:
    for values, field in WRONG:
        with pytest.raises(InvalidRequest) as refused:
            link(shop, **values)
        assert refused.value.field == field
        assert links.list_page(shop.actor).data == []


def test_a_slug_is_one_merchants(shop: Shop) -> None:
    made, other = link(shop), make("Other shop")
    with pytest.raises(Conflict) as refused:
        link(other)
    assert refused.value.code == "slug_taken"
    for act in (
        links.get,
        lambda a, i: links.set_active(a, i, False),
        lambda a, i: links.update(a, i, {}),
    ):
        with pytest.raises(NotFound):
            act(other.actor, made.id)
    with pytest.raises(NotFound):
        links.pay("boat-trap")


def test_a_limit_that_is_lowered_meanwhile_holds_too(shop: Shop) -> None:
    made = link(shop, usage_limit=16)

    def act(number: int) -> int:
        if number % 4:
            return int(bool(links.pay("boat-trip").id))
        links.update(shop.actor, made.id, {"usage_limit": 12 - number // 2})
        return 0

    results = together(16, act)
    assert {type(one) for one in results if isinstance(one, Exception)} <= {Conflict, InvalidRequest}
    stands = links.get(shop.actor, made.id)
    assert stands.held == sum(one for one in results if isinstance(one, int))
    assert stands.usage_limit is not None
    assert stands.held <= stands.usage_limit


def test_links_are_switched_off_changed_and_end(shop: Shop) -> None:
    made = link(shop, usage_limit=2, expires_at=clock.now() + timedelta(hours=1))
    links.pay("boat-trip")
    changed = links.update(shop.actor, made.id, {"title": "Two boats", "usage_limit": 9}, version=1)
    assert (changed.title, changed.usage_limit, changed.version) == ("Two boats", 9, 2)
    with pytest.raises(VersionConflict):
        links.update(shop.actor, made.id, {"title": "Late"}, version=1)
    with pytest.raises(InvalidRequest):
        links.update(shop.actor, made.id, {"usage_limit": 0})
    links.set_active(shop.actor, made.id, False)
    with pytest.raises(Conflict):
        links.pay("boat-trip")
    again = links.set_active(shop.actor, made.id, True)
    assert links.state(again) == "payable"
    with later(3601):
        assert links.state(again) == "expired"
        with pytest.raises(Conflict):
            links.pay("boat-trip")


def test_a_fresh_copy_outlives_no_link(shop: Shop) -> None:
    made = link(shop, expires_at=clock.now() + timedelta(seconds=2000))
    session, late = links.pay("boat-trip"), links.pay("boat-trip")
    with later(1801):
        sessions.expire_due()
        assert copies.copy(shop.actor, session.id).grand_total == 9900
    with later(2001), pytest.raises(Conflict) as refused:
        copies.copy(shop.actor, late.id)
    assert refused.value.code == "link_not_payable"
    assert counts(made) == (1, 0)


def test_a_fresh_copy_takes_the_links_terms_of_now_and_its_one_use_over(shop: Shop) -> None:
    made = link(shop, amount=None, min_amount=500, max_amount=2000, usage_limit=1, page=ASKS)
    asked = Asked(quantity=2, answers={"size": "L"}, campaign={"utm_source": "mail"})
    session = links.pay("boat-trip", amount=1500, asked=asked)
    with later(1801):
        links.update(shop.actor, made.id, {"max_amount": 1000})
        with pytest.raises(InvalidRequest) as refused:
            copies.copy(shop.actor, session.id)
        assert refused.value.code == "invalid_amount"
        name = {"key": "name", "label": "Name of the boat", "required": True}
        now: dict[str, Any] = {"min_amount": None, "max_amount": None, "amount": 2500, "title": "Boat"}
        now |= {"method_types": ("card", "paypal"), "page": {"maxQuantity": 2, "fields": [name]}}
        links.update(shop.actor, made.id, now)
        with pytest.raises(InvalidRequest) as refused:
            copies.copy(shop.actor, session.id)
        assert refused.value.field == "name", "the link asks what they have not answered"
        assert counts(made) == (1, 0)
        now["page"] = {"maxQuantity": 2, "promotionCodes": True}
        links.update(shop.actor, made.id, {"page": now["page"]})
        settings.change(shop.operator, {"default_capture_mode": "manual"})
        copy = copies.copy(keys.authenticate(shop.secret), session.id)
        assert (copy.title, copy.grand_total, copy.surface) == ("Boat", 5000, "link")
        assert copy.metadata_ == {"size": "L", "utm_source": "mail"}
        assert session.method_types == ["card"] and copy.method_types == ["card", "paypal"]
        assert copy.options == {"tax": "included", "allow_coupon_code": True, "capture_mode": "manual"}
        assert (shop.read(session).status, counts(made)) == ("canceled", (1, 0))
        held = shop.intent(shop.pay(copy))
        assert held.status == "requires_capture", "as for whoever opens the link now"
        payments.capture(shop.actor, held.id)
    assert counts(made) == (0, 1)
