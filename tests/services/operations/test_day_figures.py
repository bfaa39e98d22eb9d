"""Days are counted once and stand: kept or counted afresh, each merchant's figures are the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select

from app.connectors.sandbox import simulations
from app.db import reading
from app.kit import clock
from app.models.operations.day_figures import DayFigures
from app.services.operations import day_figures
from app.services.operations.day_figures import Figures
from app.services.payments import gateway, intents, methods, refunds
from tests import shops
from tests.shops import GOOD, NO_FUNDS, Shop


@contextmanager
def days_ago(days: int, hours: int = 0) -> Iterator[None]:
    noon = clock.now().replace(hour=12, minute=0, second=0, microsecond=0)
    with clock.frozen(noon - timedelta(days=days) + timedelta(hours=hours)):
        yield


def day(days: int) -> date:
    return clock.now().astimezone(UTC).date() - timedelta(days=days)


def sold(shop: Shop, price: int = 1000, number: str = GOOD) -> str:
    """The payment of a checkout."""
    session = shop.session("BOX", price=price, options={"tax": "included"})
    return str(shop.pay(session, number).payment_intent_id)


def kept() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(DayFigures)) or 0


def test_a_day_counts_what_happened_on_it(shop: Shop) -> None:
    with days_ago(4):
        intent_id = sold(shop, 1000)
        sold(shop, 500)
        sold(shop, number=NO_FUNDS)
        shop.session()
    with days_ago(2):
        made = refunds.create(shop.actor, intent_id, 300)
        refunds.send(made.id)
    found = day_figures.between(shop.actor, day(5), day(1))
    assert sorted(found) == [day(n) for n in (5, 4, 3, 2, 1)]
    assert found[day(4)] == Figures(4, 3, 2, 2, 1, {"GBP": {"captured": 1500, "captures": 2}})
    assert found[day(2)] == Figures(money={"GBP": {"refunded": 300, "refunds": 1}})
    assert found[day(5)] == found[day(3)] == Figures()


def test_a_payment_that_is_declined_and_then_paid_has_succeeded(shop: Shop) -> None:
    with days_ago(1):
        session = shop.session("BOX", price=1000)
        shop.pay(session, NO_FUNDS, "first")
        shop.pay(session, GOOD, "second")
    assert day_figures.between(shop.actor, day(1), day(1))[day(1)].paid == 1
    assert day_figures.between(shop.actor, day(1), day(1))[day(1)].declined == 0


def test_days_that_are_over_are_kept_and_say_the_same(shop: Shop) -> None:
    for days in (40, 3, 1):
        with days_ago(days):
            sold(shop, 100 * days)
    sold(shop, 7)  # today's is never kept
    fresh = day_figures.between(shop.actor, day(45), day(0))
    while day_figures.keep_days():
        pass
    assert kept() == 40
    assert day_figures.between(shop.actor, day(45), day(0)) == fresh
    assert fresh[day(0)].of("GBP", "captured") == 7
    assert day_figures.keep_days() == 0, "once is enough"


def test_a_kept_day_is_not_counted_again_and_the_days_after_it_are(shop: Shop) -> None:
    with days_ago(3):
        sold(shop, 1000)
    with days_ago(1):  # the days until the day before yesterday are over
        while day_figures.keep_days():
            pass
    with days_ago(3):
        sold(shop, 1)  # nothing comes to be in a past day but by a clock that was moved
    with days_ago(0):
        sold(shop, 50)
    found = day_figures.between(shop.actor, day(3), day(0))
    assert [found[day(n)].of("GBP", "captured") for n in (3, 2, 1, 0)] == [1000, 0, 0, 50]
    day_figures.forget(shop.actor.tenant_id, "test")
    assert day_figures.between(shop.actor, day(3), day(0))[day(3)].of("GBP", "captured") == 1001


def test_a_day_is_kept_an_hour_after_it_is_over(shop: Shop) -> None:
    midnight = datetime(2025, 8, 2, tzinfo=UTC)
    with clock.frozen(midnight - timedelta(hours=3)):
        sold(shop)
    with clock.frozen(midnight + timedelta(minutes=59)):
        assert day_figures.keep_days() == 0
    with clock.frozen(midnight + timedelta(minutes=61)):
        assert day_figures.keep_days() == 1


def test_a_refund_that_comes_back_is_taken_off_on_the_day_on_which_it_does(shop: Shop) -> None:
    with days_ago(5):
        intent_id = sold(shop, 1000)
    with days_ago(4):
        made = refunds.create(shop.actor, intent_id, 400)
        refunds.send(made.id)
    context = gateway.context(shop.actor.tenant_id, "test")
    with days_ago(2):
        assert simulations.turn_refund(context, f"refund_{made.id}", succeed=False)
        refunds.send(made.id)
    found = day_figures.between(shop.actor, day(5), day(1))
    assert [found[day(n)].of("GBP", "refunded") for n in (4, 3, 2)] == [400, 0, -400]


def test_merchants_and_modes_are_apart_and_each_is_kept(shop: Shop) -> None:
    other = shops.make("Other shop")
    with days_ago(1):
        sold(shop, 100)
        sold(other, 900)
    while day_figures.keep_days():
        pass
    found = [day_figures.between(each.actor, day(1), day(1))[day(1)] for each in (shop, other)]
    assert [figures.of("GBP", "captured") for figures in found] == [100, 900]


def test_a_payment_without_a_checkout_counts_in_money_alone(shop: Shop) -> None:
    with days_ago(1):
        method = methods.tokenize_card(shop.actor, shops.card(GOOD))
        draft = intents.IntentDraft(2500, "EUR", payment_method_id=method.id)
        intents.confirm(shop.actor, intents.create(shop.actor, draft).id, nonce="n")
    found = day_figures.between(shop.actor, day(1), day(1))[day(1)]
    assert found == Figures(paid=1, money={"EUR": {"captured": 2500, "captures": 1}})
