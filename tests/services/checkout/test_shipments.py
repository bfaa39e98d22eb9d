"""Split shipments: suggested after where goods lie, chosen, followed by holds, and told with the order."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.db import transaction
from app.domain.errors import Conflict, InvalidState, NotFound
from app.models.catalogue.stock import StockItem
from app.models.checkout.session import CheckoutSession
from app.providers import registry
from app.providers.base import CartLine, CartSnapshot
from app.providers.holding import Allocation, Lot
from app.services.access import tokens
from app.services.checkout import holds, hosted, orders, payment, runs, sessions, shipments, shipping
from app.services.checkout.drafts import SessionDraft
from tests import catalogue
from tests.buyers import together
from tests.failures import told
from tests.shops import CHALLENGED, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")

URL = "/v1/checkout/sessions"
SUMS = ("sub_total", "discount_total", "tax_total", "shipping_total", "fee_total", "grand_total")


@pytest.fixture
def basket(shop: Shop) -> CheckoutSession:
    """Three pots and a lid, in places that have them apart: `east` all but a pot, `west` pots alone."""
    for sku, place, units in (
        ("POT", "east", 2),
        ("POT", "west", 3),
        ("LID", "east", 5),
        ("LID", "north", 2),
    ):
        catalogue.place(shop, sku, place, units)
    catalogue.shipping(shop, "ship_1", 399, days_min=1, days_max=3)
    catalogue.coupon(shop)
    lines = (CartLine("line_1", "POT", "Pot", 3, 1501), CartLine("line_2", "LID", "Lid", 1, 333))
    draft = SessionDraft(
        surface="checkout", hosted=True, cart=CartSnapshot("GBP", lines), promotion_codes=("SAVE10",)
    )
    session = sessions.create(shop.actor, draft)
    return shipping.select(shop.actor, session.id, "ship_1")


def plans(shop: Shop, session: CheckoutSession) -> dict[str, shipments.Suggestion]:
    return {found.plan.kind: found for found in shipments.suggest(shop.actor, session.id)}


def choose(shop: Shop, session: CheckoutSession, kind: str) -> CheckoutSession:
    return shipments.select_plan(shop.actor, session.id, plans(shop, session)[kind].plan.id)


def test_plans_follow_the_stock_and_sum_to_the_session(shop: Shop, basket: CheckoutSession) -> None:
    found = plans(shop, basket)
    assert set(found) == {"fewest_shipments", "whole_lines"}
    few = found["fewest_shipments"].shipments
    assert [parcel["location"] for parcel in few] == ["west", "east"]
    whole = shop.read(basket).totals
    assert whole is not None
    for suggestion in found.values():
        for name in SUMS:
            assert sum(parcel["totals"][name] for parcel in suggestion.shipments) == whole[name], name
        assert suggestion.estimate is not None
        assert suggestion.estimate.shipping_option_id == "ship_1"
        span = suggestion.estimate.latest_delivery_date - suggestion.estimate.earliest_delivery_date
        assert span.days == 2
    again = plans(shop, basket)
    assert [again[kind].plan.id for kind in found] == [one.plan.id for one in found.values()]


def test_one_place_that_has_all_is_one_plan(shop: Shop) -> None:
    session = shop.session(quantity=2)
    [found] = shipments.suggest(shop.actor, session.id)
    [parcel] = found.shipments
    assert (parcel["location"], found.estimate) == ("main", None)
    assert parcel["totals"] == shop.read(session).totals
    loose = shop.session(sku="DOWNLOAD")
    [only] = shipments.suggest(shop.actor, loose.id)
    assert only.shipments[0]["location"] is None


def test_an_inventory_that_tells_no_places_gives_one_parcel(
    shop: Shop, basket: CheckoutSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "inventory", lambda tenant: object())
    [found] = shipments.suggest(shop.actor, basket.id)
    [parcel] = found.shipments
    assert (parcel["location"], len(parcel["lines"])) == (None, 2)
    assert parcel["totals"] == shop.read(basket).totals


def test_the_chosen_plan_is_shown_held_and_told_with_the_order(shop: Shop, basket: CheckoutSession) -> None:
    chosen = choose(shop, basket, "fewest_shipments")
    assert chosen.shipment_plan_id == plans(shop, basket)["fewest_shipments"].plan.id
    assert plans(shop, basket)["fewest_shipments"].is_selected
    held = holds.reserve(shop.actor, basket.id)
    assert held.allocation_strategy == "explicit_lots"
    assert catalogue.places(shop, "POT") == {"east": (2, 0, 0), "west": (3, 3, 0)}
    done = shop.pay(basket)
    assert done.status == "completed"
    order = orders.of_session(done)
    assert order is not None
    assert order.shipment_plan_id == chosen.shipment_plan_id
    assert order.shipments is not None
    for name in SUMS:
        assert sum(parcel["totals"][name] for parcel in order.shipments) == getattr(order, name)
    assert catalogue.places(shop, "POT") == {"east": (2, 0, 0), "west": (0, 0, 3)}
    assert len(told(shop, basket, "checkout.shipment_plan_selected")) == 1


def test_goods_that_are_held_move_to_the_places_of_the_plan(shop: Shop, basket: CheckoutSession) -> None:
    lots = (Lot("POT", "east", 2), Lot("POT", "west", 1), Lot("LID", "north", 1))
    held = holds.reserve(shop.actor, basket.id, ttl_seconds=500, allocation=Allocation("explicit_lots", lots))
    assert catalogue.places(shop, "LID") == {"east": (5, 0, 0), "north": (2, 1, 0)}
    moved = choose(shop, basket, "fewest_shipments")
    assert catalogue.places(shop, "POT") == {"east": (2, 0, 0), "west": (3, 3, 0)}
    assert catalogue.places(shop, "LID") == {"east": (5, 1, 0), "north": (2, 0, 0)}
    assert (moved.status, moved.reservation_id != held.id) == ("reserved", True)
    assert moved.reservation_id is not None
    now = holds.get(shop.actor, moved.reservation_id)
    assert abs((now.expires_at - held.expires_at).total_seconds()) < 2
    assert catalogue.uses(shop) == (1, 0)
    with pytest.raises(Conflict) as refused:
        holds.reserve(shop.actor, basket.id, allocation=Allocation("explicit_lots", lots))
    assert refused.value.code == "shipment_plan_selected"


def test_a_plan_is_chosen_before_the_sale_and_not_after(shop: Shop, basket: CheckoutSession) -> None:
    plan_id = plans(shop, basket)["fewest_shipments"].plan.id
    shop.pay(basket, CHALLENGED)
    assert shipments.select_plan(shop.actor, basket.id, plan_id).status == "payment_processing"
    assert catalogue.places(shop, "POT") == {"east": (2, 0, 0), "west": (3, 3, 0)}
    payment.give_up(shop.actor, basket.id)
    shop.pay(basket, nonce="n2")
    for work in (
        lambda: shipments.select_plan(shop.actor, basket.id, plan_id),
        lambda: shipments.suggest(shop.actor, basket.id),
    ):
        with pytest.raises(InvalidState):
            work()
    lapsed = shop.session()
    with later(4000), pytest.raises(InvalidState):
        shipments.suggest(shop.actor, lapsed.id)


def test_plans_that_are_not_possible_any_more(shop: Shop, basket: CheckoutSession) -> None:
    found = plans(shop, basket)["fewest_shipments"].plan
    with transaction() as db:
        db.query(StockItem).filter_by(sku="POT", location="west").update({"on_hand": 2})
    with pytest.raises(Conflict) as refused:
        shipments.select_plan(shop.actor, basket.id, found.id)
    assert refused.value.code == "shipment_plan_outdated"
    with transaction() as db:
        db.query(StockItem).filter_by(sku="POT").update({"on_hand": 1})
    with pytest.raises(Conflict) as short:
        shipments.suggest(shop.actor, basket.id)
    assert short.value.code == "inventory_shortfall"
    assert short.value.explain == {
        "reason": "inventory_shortfall",
        "lines": [{"sku": "POT", "requested_qty": 3, "available_qty": 2}],
    }
    assert shop.read(basket).shipment_plan_id is None


def test_a_plan_that_sold_out_is_dropped_before_it_stops_the_sale(
    shop: Shop, basket: CheckoutSession
) -> None:
    choose(shop, basket, "fewest_shipments")
    with transaction() as db:
        db.query(StockItem).filter_by(sku="POT", location="west").update({"on_hand": 1})
    done = shop.pay(basket)
    assert (done.status, done.shipment_plan_id) == ("completed", None)
    assert len(told(shop, basket, "checkout.shipment_plan_dropped")) == 1
    order = orders.of_session(done)
    assert order is not None
    assert order.shipments is None


def test_goods_that_are_tracked_only_now_stop_no_sale(shop: Shop) -> None:
    session = shop.session(sku="NEW")
    [found] = shipments.suggest(shop.actor, session.id)
    shipments.select_plan(shop.actor, session.id, found.plan.id)
    shop.stock("NEW", 5)
    done = shop.pay(session)
    assert (done.status, done.shipment_plan_id, shop.left("NEW")) == ("completed", None, (4, 0, 1))


def test_a_plan_waits_for_a_finalisation_that_is_under_way(shop: Shop, basket: CheckoutSession) -> None:
    plan_id = plans(shop, basket)["fewest_shipments"].plan.id
    with transaction() as db:
        runs.begin(db, sessions.find(db, shop.actor, basket.id, lock=True), cause="test")
    with pytest.raises(InvalidState):
        shipments.select_plan(shop.actor, basket.id, plan_id)


def test_another_quantity_is_another_basket(shop: Shop) -> None:
    session = shop.session(options={"allow_quantity": True})
    [found] = shipments.suggest(shop.actor, session.id)
    shipments.select_plan(shop.actor, session.id, found.plan.id)
    assert hosted.change_quantity(shop.actor, session.id, 3).shipment_plan_id is None
    with pytest.raises(Conflict) as refused:
        shipments.select_plan(shop.actor, session.id, found.plan.id)
    assert refused.value.code == "shipment_plan_outdated"


def test_plans_are_their_sessions_and_their_merchants(shop: Shop) -> None:
    session, other = shop.session(), shop.session()
    [found] = shipments.suggest(shop.actor, session.id)
    for plan_id in (found.plan.id, "plan_none"):
        with pytest.raises(NotFound):
            shipments.select_plan(shop.actor, other.id, plan_id)
    with pytest.raises(NotFound):
        shipments.select_plan(make("Other shop").actor, session.id, found.plan.id)


def test_sixteen_who_choose_at_once_leave_one_plan_and_its_goods(shop: Shop, basket: CheckoutSession) -> None:
    holds.reserve(shop.actor, basket.id)
    found = list(plans(shop, basket).values())
    answers = together(
        16, lambda n: shipments.select_plan(shop.actor, basket.id, found[n % 2].plan.id).shipment_plan_id
    )
    assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    chosen = shop.read(basket).shipment_plan_id
    plan = next(one.plan for one in found if one.plan.id == chosen)
    held = {
        (sku, place): counts[1]
        for sku in ("POT", "LID")
        for place, counts in catalogue.places(shop, sku).items()
        if counts[1]
    }
    assert held == plan.lots()


def test_shipments_over_http(client: FlaskClient, shop: Shop, basket: CheckoutSession) -> None:
    browser = {"Authorization": f"Bearer {tokens.client_token(basket)}"}
    path = f"{URL}/{basket.id}"
    answer = client.post(f"{path}/split-shipment-plan", json={}, headers=browser)
    assert answer.status_code == 200
    [first, *_] = answer.json["plans"]  # type: ignore[index]
    assert (first["kind"], first["selected"]) == ("fewest_shipments", False)
    assert first["shipments"][0]["lines"][0] == {"line_id": "line_1", "sku": "POT", "quantity": 3}
    assert first["shipments"][0]["estimate"]["shipping_option_id"] == "ship_1"
    body: dict[str, Any] = {"plan_id": first["plan_id"]}
    chosen = client.post(f"{path}/select-shipment-plan", json=body, headers=browser)
    assert chosen.status_code == 200
    assert chosen.json is not None
    assert chosen.json["shipment_plan_id"] == first["plan_id"]
    read = client.get(path, headers=shop.bearer).json
    assert read is not None
    assert read["shipment_plan_id"] == first["plan_id"]
    for wrong, status in (({}, 400), ({"plan_id": 7}, 400), ({"plan_id": "plan_none"}, 404)):
        answer = client.post(f"{path}/select-shipment-plan", json=wrong, headers=shop.bearer)
        assert answer.status_code == status, wrong
    stranger = {"Authorization": f"Bearer {make('Other').secret}"}
    for action, sent in (("split-shipment-plan", {}), ("select-shipment-plan", body)):
        assert client.post(f"{path}/{action}", json=sent, headers=stranger).status_code == 404
