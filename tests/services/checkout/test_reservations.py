"""Holds on stock: full and partial, lengthened, given back, and the last unit to one of sixteen buyers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.errors import Conflict, InvalidState, NotFound
from app.services.checkout import holds as stock_holds
from app.services.checkout import reservations, sessions
from tests.buyers import together
from tests.shops import CHALLENGED, NO_FUNDS, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")


def test_a_hold_is_told_and_its_session_is_reserved(shop: Shop) -> None:
    session = shop.session(quantity=3)
    held = stock_holds.reserve(shop.actor, session.id, ttl_seconds=600)
    assert (held.partial, stock_holds.word(held), shop.left("MUG")) == (False, "active", (100, 3, 0))
    now = shop.read(session)
    assert (now.status, now.reservation_id) == ("reserved", held.id)
    assert held.lines == [
        {"line_id": "line_1", "sku": "MUG", "location": "main", "requested_qty": 3, "reserved_qty": 3}
    ]


def test_asking_again_lengthens_the_same_hold(shop: Shop) -> None:
    session = shop.session()
    first = stock_holds.reserve(shop.actor, session.id, ttl_seconds=60)
    again = stock_holds.reserve(shop.actor, session.id, ttl_seconds=600)
    assert again.id == first.id
    assert again.expires_at > first.expires_at
    shorter = stock_holds.reserve(shop.actor, session.id, ttl_seconds=1)
    assert shorter.expires_at == again.expires_at
    assert shop.left("MUG") == (100, 1, 0)


def test_a_part_is_held_flagged_and_made_whole_when_it_can_be(shop: Shop) -> None:
    shop.stock("POT", 2)
    session = shop.session(sku="POT", quantity=3)
    held = stock_holds.reserve(shop.actor, session.id)
    assert (held.partial, stock_holds.word(held)) == (True, "partial")
    with pytest.raises(Conflict) as refused:
        shop.pay(session)
    assert refused.value.code == "inventory_shortfall"
    assert shop.left("POT") == (2, 2, 0)
    from app.db import transaction
    from app.models.catalogue.stock import StockItem

    with transaction() as db:
        db.query(StockItem).filter_by(sku="POT").update({"on_hand": 5})
    whole = stock_holds.reserve(shop.actor, session.id)
    assert (whole.partial, shop.left("POT")) == (False, (5, 3, 0))
    assert shop.pay(session, nonce="n2").status == "completed"
    assert shop.left("POT") == (2, 0, 3)


def test_nothing_to_hold_is_a_conflict_that_shows_the_lines(shop: Shop) -> None:
    shop.stock("POT", 0)
    session = shop.session(sku="POT")
    with pytest.raises(Conflict) as refused:
        stock_holds.reserve(shop.actor, session.id)
    assert refused.value.code == "inventory_shortfall"
    assert refused.value.explain is not None
    assert refused.value.explain["lines"][0]["reserved_qty"] == 0
    assert shop.read(session).status == "created"


def test_a_hold_can_be_lengthened_up_to_a_day(shop: Shop) -> None:
    session = shop.session(lifetime_seconds=100_000)
    held = stock_holds.reserve(shop.actor, session.id)
    longer = stock_holds.extend(shop.actor, held.id, 900)
    assert (longer.expires_at - held.expires_at).total_seconds() == 900
    assert stock_holds.word(longer) == "extended"
    capped = stock_holds.extend(shop.actor, held.id, 24 * 3600)
    assert (capped.expires_at - capped.created_at).total_seconds() == 24 * 3600
    with pytest.raises(Conflict) as refused:
        stock_holds.extend(shop.actor, held.id, 1)
    assert refused.value.code == "hold_limit"


def test_a_hold_that_is_over_cannot_be_lengthened_but_released_again(shop: Shop) -> None:
    session = shop.session()
    held = stock_holds.reserve(shop.actor, session.id)
    released = stock_holds.release(shop.actor, held.id)
    assert (released.status, shop.read(session).status) == ("released", "collecting")
    again = stock_holds.release(shop.actor, held.id)
    assert again.version == released.version
    with pytest.raises(InvalidState):
        stock_holds.extend(shop.actor, held.id, 60)
    lapsing = stock_holds.reserve(shop.actor, session.id, ttl_seconds=10)
    with later(11):
        assert stock_holds.word(lapsing) == "expired"
        with pytest.raises(InvalidState):
            stock_holds.extend(shop.actor, lapsing.id, 60)
        reservations.expire_due()
        assert stock_holds.release(shop.actor, lapsing.id).status == "expired"
    assert shop.left("MUG") == (100, 0, 0)


def test_what_is_sold_or_being_paid_is_not_released(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    held = shop.read(session).reservation_id
    assert held is not None
    with pytest.raises(InvalidState) as refused:
        stock_holds.release(shop.actor, held)
    assert refused.value.code == "payment_in_progress"
    sold = shop.session()
    shop.pay(sold, nonce="n2")
    reservation_id = shop.read(sold).reservation_id
    assert reservation_id is not None
    assert stock_holds.word(stock_holds.get(shop.actor, reservation_id)) == "captured"
    with pytest.raises(InvalidState):
        stock_holds.release(shop.actor, reservation_id)


def test_a_decline_keeps_the_hold_for_the_next_card(shop: Shop) -> None:
    session = shop.session()
    assert shop.pay(session, NO_FUNDS).status == "reserved"
    assert shop.left("MUG") == (100, 1, 0)
    assert shop.pay(session, nonce="n2").status == "completed"
    assert shop.left("MUG") == (99, 0, 1)


def test_holds_of_payments_under_way_keep_no_other_hold_from_ending(shop: Shop) -> None:
    for number in range(2):
        shop.pay(shop.session(), CHALLENGED, f"n{number}")
    abandoned = stock_holds.reserve(shop.actor, shop.session(lifetime_seconds=7200).id)
    with later(1800):
        assert reservations.expire_due(limit=2) == 1
        assert stock_holds.get(shop.actor, abandoned.id).status == "expired"
    assert shop.left("MUG") == (100, 2, 0)


def test_a_checkout_that_is_canceled_holds_nothing_for_longer(shop: Shop) -> None:
    session = shop.session()
    held = stock_holds.reserve(shop.actor, session.id)
    sessions.cancel(shop.actor, session.id, release_inventory=False)
    assert [hold.hold_id for hold in stock_holds.of_session(shop.actor, session.id)] == [held.id]
    with pytest.raises(InvalidState):
        stock_holds.extend(shop.actor, held.id, 60)
    with pytest.raises(InvalidState):
        stock_holds.extend_session(shop.actor, session.id, hold_ids=None, by_seconds=60)
    assert stock_holds.get(shop.actor, held.id).expires_at == held.expires_at


def test_a_hold_is_its_merchants_and_its_sessions(shop: Shop) -> None:
    session = shop.session()
    held = stock_holds.reserve(shop.actor, session.id)
    browser = replace(shop.actor, session_id=shop.session().id)
    for stranger in (make("Other shop").actor, browser):
        for act in (stock_holds.get, stock_holds.release):
            with pytest.raises(NotFound):
                act(stranger, held.id)
    assert stock_holds.get(replace(shop.actor, session_id=session.id), held.id).id == held.id


def test_the_last_unit_is_reserved_by_exactly_one_of_sixteen_buyers(shop: Shop) -> None:
    shop.stock("LAST", 1)
    buying = [shop.session(sku="LAST") for _ in range(16)]
    results = together(16, lambda number: stock_holds.reserve(shop.actor, buying[number].id))
    errors = [result for result in results if isinstance(result, Exception)]
    assert len(errors) == 15
    assert {getattr(error, "code", repr(error)) for error in errors} == {"inventory_shortfall"}
    assert shop.left("LAST") == (1, 1, 0)
    states = sorted(sessions.get(shop.actor, session.id).status for session in buying)
    assert states == ["created"] * 15 + ["reserved"]


def test_the_last_unit_is_paid_by_exactly_one_of_sixteen_buyers(shop: Shop) -> None:
    shop.stock("LAST", 1)
    buying = [shop.session(sku="LAST") for _ in range(16)]
    results = together(16, lambda number: shop.pay(buying[number], nonce=f"n{number}"))
    errors = [result for result in results if isinstance(result, Exception)]
    assert {getattr(error, "code", repr(error)) for error in errors} == {"inventory_shortfall"}
    assert len(errors) == 15
    assert shop.left("LAST") == (0, 0, 1)
