"""Velocity and transaction limits: exact under sixteen at once, free again in time, off where they mislead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.connectors.base import CardDetails
from app.db import engine, reading, transaction
from app.domain.actor import Mode
from app.domain.errors import DomainError, RateLimited, Unprocessable
from app.domain.rules.velocity import Scope
from app.kit import clock
from app.models.risk.velocity_counter import VelocityCounter
from app.services.checkout import payment
from app.services.payments import attempts, intents
from app.services.risk import counters, fraud, policy
from app.services.risk.fraud import Context
from tests import risks
from tests.buyers import together
from tests.risks import HERE, THERE
from tests.shops import GOOD, NO_FUNDS, Shop, card, later

pytestmark = pytest.mark.usefixtures("holds", "noon")

OWNER = ("ten_1", "test")


@pytest.fixture
def noon(database: str) -> Iterator[None]:
    """The clock stands in the middle of every window, so that no test depends on where one begins."""
    with clock.frozen(clock.now().replace(hour=12, minute=34, second=30, microsecond=0)):
        yield


def on_the_page(shop: Shop, address: str, number: str = GOOD) -> str:
    """A shopper at that address buys; the session's status, or why not."""
    session = shop.session()
    actor = risks.shopper(shop, session.id, address)
    try:
        return payment.pay_by_card(actor, session.id, card(number), payment.Order("n1")).status
    except DomainError as refused:
        return refused.code


def test_ten_confirms_a_minute_and_address_of_sixteen_at_once(shop: Shop) -> None:
    outcomes = together(16, lambda _: on_the_page(shop, HERE))
    assert outcomes.count("completed") == 10, outcomes
    assert outcomes.count("velocity_limit_exceeded") == 6
    assert risks.at_the_gateway() == ["captured"] * 10
    assert shop.left("MUG") == (90, 0, 10)
    assert on_the_page(shop, THERE) == "completed"


def test_the_window_slides_and_frees_slots(shop: Shop) -> None:
    start = clock.now().replace(second=30, microsecond=0)
    with clock.frozen(start):
        for _ in range(10):
            assert on_the_page(shop, HERE) == "completed"
        session = shop.session()
        with pytest.raises(RateLimited) as refused:
            payment.pay_by_card(risks.shopper(shop, session.id), session.id, card(GOOD), payment.Order("n1"))
    wait = refused.value.retry_after
    assert 30 < wait <= 60
    with clock.frozen(start + timedelta(seconds=wait)):
        assert on_the_page(shop, HERE) == "completed"
        assert on_the_page(shop, HERE) == "velocity_limit_exceeded"
    with clock.frozen(start + timedelta(seconds=200)):
        assert on_the_page(shop, HERE) == "completed"


def test_a_refused_try_leaves_nothing(shop: Shop) -> None:
    shop = risks.choose(shop, velocity=[{"scope": "customer", "max_count": 1, "window_seconds": 3600}])
    risks.confirm(shop, risks.intent_of(shop, customer_id="c"))
    intent = risks.intent_of(shop, customer_id="c")
    with reading() as db:
        before = db.execute(risks.counters()).all()
    with pytest.raises(RateLimited) as refused:
        risks.confirm(shop, intent)
    assert refused.value.code == "velocity_limit_exceeded"
    assert refused.value.explain is not None
    assert refused.value.explain["scope"] == "customer"
    again = intents.get(shop.actor, intent.id)
    assert (again.status, again.attempts, again.version) == (intent.status, 0, intent.version)
    assert attempts.of_intent(shop.actor, intent.id) == []
    assert risks.decisions(intent) == []
    with reading() as db:
        assert db.execute(risks.counters()).all() == before


def test_a_shopper_is_not_told_which_limit_it_was(shop: Shop) -> None:
    shop = few_per_address(shop)
    for _ in range(2):
        on_the_page(shop, HERE)
    session = shop.session()
    with pytest.raises(RateLimited) as refused:
        payment.pay_by_card(risks.shopper(shop, session.id), session.id, card(GOOD), payment.Order("n1"))
    assert set(refused.value.explain or {}) == {"retry_after"}
    assert "No money has left your account" in refused.value.message


@pytest.mark.parametrize("scope", ["card", "card_prefix"])
def test_card_testing_is_capped_by_card_and_by_prefix(shop: Shop, scope: str) -> None:
    shop = risks.choose(shop, velocity=[{"scope": scope, "max_count": 3, "window_seconds": 600}])
    for number in range(3):
        risks.confirm(shop, risks.intent_of(shop), NO_FUNDS, f"n{number}")
    with pytest.raises(RateLimited):
        risks.confirm(shop, risks.intent_of(shop), NO_FUNDS)
    same_prefix = "4000000000000002"
    if scope == "card_prefix":
        with pytest.raises(RateLimited):
            risks.confirm(shop, risks.intent_of(shop), same_prefix)
    else:
        risks.confirm(shop, risks.intent_of(shop), same_prefix)
    assert risks.confirm(shop, risks.intent_of(shop), "5555555555554444").status == "succeeded"


def test_in_live_mode_cards_are_capped_without_being_asked(shop: Shop) -> None:
    profile = shop.actor.tenant
    assert [limit.scope for limit in policy.of(profile, Mode.TEST).limits] == [Scope.ADDRESS]
    of_live = policy.of(profile, Mode.LIVE)
    assert [limit.scope for limit in of_live.limits] == [Scope.ADDRESS, Scope.CARD, Scope.CARD_PREFIX]
    assert of_live.counts_cards and not policy.of(profile, Mode.TEST).counts_cards


def few_per_address(shop: Shop) -> Shop:
    return risks.choose(shop, velocity=[{"scope": "address", "max_count": 2, "window_seconds": 60}])


def test_an_address_that_is_not_public_says_nothing(shop: Shop) -> None:
    shop = few_per_address(shop)
    assert {on_the_page(shop, "10.0.0.7") for _ in range(3)} == {"completed"}


def test_one_ipv6_line_is_one_address(shop: Shop) -> None:
    shop = few_per_address(shop)
    outcomes = [on_the_page(shop, f"2a02:8070:1::{number}") for number in range(3)]
    assert outcomes == ["completed", "completed", "velocity_limit_exceeded"]


def test_a_merchants_server_is_no_shopper_unless_it_names_one(shop: Shop) -> None:
    shop = few_per_address(shop)
    server = Shop(replace(shop.actor, address=HERE), shop.secret)
    for _ in range(3):
        assert risks.confirm(server, risks.intent_of(server)).status == "succeeded"
    named = [risks.intent_of(server) for _ in range(3)]
    for intent in named:
        fraud.score(server.actor, intent.id, Context(ip=HERE))
    for intent in named[:2]:
        assert risks.confirm(server, intent).status == "succeeded"
    with pytest.raises(RateLimited):
        risks.confirm(server, named[2])


def test_money_is_limited_by_currency_and_sixteen_cannot_overdraw_it(shop: Shop) -> None:
    limit = {"scope": "customer", "max_amount": 20_000, "window_seconds": 86_400}
    shop = risks.choose(shop, velocity=[limit])
    made = [risks.intent_of(shop, customer_id="c") for _ in range(16)]

    def pay(number: int) -> str:
        try:
            return risks.confirm(shop, made[number]).status
        except RateLimited as refused:
            return refused.code

    outcomes = together(16, pay)
    assert outcomes.count("succeeded") == 4, outcomes
    assert outcomes.count("velocity_limit_exceeded") == 12
    with pytest.raises(Unprocessable) as refused:
        risks.confirm(shop, risks.intent_of(shop, 20_001, customer_id="c"))
    assert refused.value.code == "tx_limit_exceeded"
    euros = intents.create(shop.actor, intents.IntentDraft(5000, "EUR", customer_id="c"))
    assert risks.confirm(shop, euros).status == "succeeded"


def test_more_than_is_taken_in_one_payment_is_refused_before_anything_is_written(shop: Shop) -> None:
    intent = risks.intent_of(shop, 5001)
    fits = risks.intent_of(shop, 5000)
    session = shop.session(price=6000)
    shop = risks.choose(shop, max_authorization_amount=5000)
    with pytest.raises(Unprocessable) as refused:
        risks.confirm(shop, intent)
    assert (refused.value.code, refused.value.field) == ("tx_limit_exceeded", "amount")
    with pytest.raises(Unprocessable):
        shop.pay(session)
    assert shop.left("MUG") == (100, 0, 0)
    assert risks.at_the_gateway() == []
    assert risks.confirm(shop, fits).status == "succeeded"


def test_a_payment_is_tried_so_often_and_no_more(shop: Shop) -> None:
    shop = risks.choose(shop, max_confirms_per_session=2)
    session = shop.session()
    for number in range(2):
        shop.pay(session, NO_FUNDS, f"try-{number}")
    with pytest.raises(Unprocessable) as refused:
        shop.pay(session, GOOD, "third")
    assert refused.value.code == "confirm_limit_exceeded"
    assert len(shop.attempts(session)) == 2


def test_counters_of_one_scope_are_apart_by_merchant_mode_and_window(shop: Shop) -> None:
    keys = {
        counters.key(owner, scope, value, window, currency).bucket
        for owner in (OWNER, ("ten_2", "test"), ("ten_1", "live"))
        for scope in (Scope.CARD, Scope.EMAIL)
        for value in ("a", "b")
        for window in (60, 3600)
        for currency in ("", "GBP")
    }
    assert len(keys) == 3 * 2 * 2 * 2 * 2


def count(at: Any, **sums: int) -> counters.Reading:
    key = counters.key(OWNER, Scope.CARD, "a", 60)
    with clock.frozen(at), transaction() as db:
        return counters.add(db, [key, key], **sums)[key.bucket]


def test_a_counter_rolls_over_into_the_window_before_and_then_to_nothing(shop: Shop) -> None:
    start = clock.now().replace(second=0, microsecond=0)
    assert count(start, tries=1, amount=5).tries == (1, 0)
    found = count(start + timedelta(seconds=59), tries=1, declines=1, amount=7)
    assert (found.tries, found.declines, found.amount) == ((2, 0), (1, 0), (12, 0))
    found = count(start + timedelta(seconds=60), tries=1)
    assert (found.tries, found.declines, found.amount) == ((1, 2), (0, 1), (0, 12))
    assert count(start + timedelta(seconds=59), tries=1).tries == (2, 2), "a clock that is behind"
    found = count(start + timedelta(seconds=240), declines=1)
    assert (found.tries, found.declines, found.amount) == ((0, 0), (1, 0), (0, 0))
    key = counters.key(OWNER, Scope.CARD, "a", 60)
    for seconds, pair in ((240, (1, 0)), (300, (0, 1)), (360, (0, 0))):
        with clock.frozen(start + timedelta(seconds=seconds)), reading() as db:
            assert counters.look(db, [key])[key.bucket].declines == pair


def test_sixteen_counts_at_once_are_sixteen(shop: Shop) -> None:
    keys = [counters.key(OWNER, Scope.CARD, str(number), 3600) for number in range(6)]

    def once(number: int) -> list[int]:
        with transaction() as db:  # each names them in another order
            found = counters.add(db, keys[number % 6 :] + keys[: number % 6], tries=1)
        return [found[key.bucket].tries[0] + found[key.bucket].tries[1] for key in keys]

    seen = together(16, once)
    assert sorted(row[0] for row in seen) == list(range(1, 17))  # type: ignore[index]


def test_old_counters_are_cleaned_away_and_young_ones_stay(shop: Shop) -> None:
    count(clock.now(), tries=1)
    assert counters.clean() == 0
    with later(121):
        assert counters.clean() == 1
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(VelocityCounter)) == 0


def test_a_card_that_is_not_one_counts_nothing(shop: Shop) -> None:
    session = shop.session()
    bad = CardDetails("4111111111111111", 12, clock.now().year + 1, "123")
    with pytest.raises(Unprocessable):
        payment.pay_by_card(risks.shopper(shop, session.id), session.id, bad, payment.Order("n1"))
    with reading() as db:
        assert db.execute(risks.counters()).all() == []


def test_a_clock_that_was_wrong_for_a_moment_blocks_nobody_until_then(shop: Shop) -> None:
    """A counter may be one window ahead (another machine's clock); further ahead it is no counter of now."""
    key = counters.key(OWNER, Scope.ADDRESS, "a", 60)
    now = clock.now()
    with clock.frozen(now + timedelta(days=365)), transaction() as db:
        counters.add(db, [key], tries=50)
    with reading() as db:
        assert counters.look(db, [key])[key.bucket].tries == (0, 0)
    with transaction() as db:
        assert counters.add(db, [key], tries=1)[key.bucket].tries == (1, 0)
    with clock.frozen(now + timedelta(seconds=40)), transaction() as db:
        ahead = counters.add(db, [key], tries=1)[key.bucket]
    with transaction() as db:
        behind = counters.add(db, [key], tries=1)[key.bucket]
    assert (ahead.tries, behind.tries) == ((1, 1), (2, 1))


def test_cleaning_waits_for_no_confirm_and_so_cannot_deadlock_with_one(shop: Shop) -> None:
    idle, used = (counters.key(OWNER, Scope.ADDRESS, value, 60) for value in ("a", "b"))
    with clock.frozen(clock.now() - timedelta(days=1)), transaction() as db:
        counters.add(db, [idle, used], tries=1)
    counted, go_on = threading.Event(), threading.Event()

    def confirm() -> None:
        with transaction() as db:
            counters.add(db, [used], tries=1)
            counted.set()
            go_on.wait(20)

    shopper = threading.Thread(target=confirm)
    shopper.start()
    assert counted.wait(10)
    if engine().dialect.name == "sqlite":  # it has one writer: who cleans comes after
        go_on.set()
        shopper.join()
    try:
        assert counters.clean() == 1
    finally:
        go_on.set()
        shopper.join()
    with reading() as db:
        left = counters.look(db, [idle, used])
    assert {bucket: found.tries for bucket, found in left.items()} == {used.bucket: (1, 0)}
