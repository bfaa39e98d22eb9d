"""CK-064: the funnel against checkouts that were made for it, and that a day is found by an index."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app import db
from app.db import transaction
from app.domain.actor import Mode
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.services.checkout import details, sessions
from app.services.operations import checkout_metrics
from app.services.payments import intents
from tests import old_checkouts
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, later, make, moment
from tests.statements import counted

HOME = {"line1": "1 High Street", "city": "London", "postal_code": "SW1A 2AA", "country": "GB"}


def test_nothing_divides_by_nothing(shop: Shop) -> None:
    found = checkout_metrics.funnel(shop.actor)
    assert (found.checkout_initiated, found.payment_attempts, found.three_ds_challenges) == (0, 0, 0)
    assert (found.abandon_rate, found.conversion_rate, found.avg_time_to_purchase) == (None, None, None)
    assert set(found.abandoned_by_step.values()) == {0}


def test_each_figure_is_what_happened(shop: Shop) -> None:
    bought, slow = shop.session(), shop.session()
    shop.pay(bought, NO_FUNDS, "n1")
    shop.pay(bought, GOOD, "n2")
    with later(601):
        shop.pay(slow, nonce="n3")
    in_cart, at_address, at_payment, waiting = (shop.session() for _ in range(4))
    details.set_shipping_address(shop.actor, at_address.id, HOME)
    shop.pay(at_payment, NO_FUNDS, "n4")
    shop.pay(waiting, CHALLENGED, "n5")
    shop.session()
    for session in (in_cart, at_address, at_payment):
        sessions.cancel(shop.actor, session.id)
    intents.create(shop.actor, intents.IntentDraft(1000, "GBP"))
    found = checkout_metrics.funnel(shop.actor, until=clock.now() + timedelta(hours=1))
    assert (found.checkout_initiated, found.completed, found.abandoned, found.open) == (7, 2, 3, 2)
    assert (found.payment_attempts, found.three_ds_challenges) == (5, 1)
    assert (found.abandon_rate, found.conversion_rate) == (0.6, 0.4)
    assert found.abandoned_by_step == {"cart": 1, "address": 1, "delivery": 0, "payment": 1}
    assert found.avg_time_to_purchase == pytest.approx(301, abs=15)


def test_a_delivery_that_was_chosen_is_a_step(shop: Shop) -> None:
    session = shop.session()
    with transaction() as work:
        row = work.get_one(CheckoutSession, session.id)
        row.selected_shipping = {"id": "ship_1", "label": "Next day", "cost": 399}
    sessions.cancel(shop.actor, session.id)
    assert checkout_metrics.funnel(shop.actor).abandoned_by_step["delivery"] == 1


def test_a_checkout_that_expires_was_abandoned(shop: Shop) -> None:
    shop.session()
    assert checkout_metrics.funnel(shop.actor).abandoned == 0
    with later(3700):
        sessions.expire_due()
        found = checkout_metrics.funnel(shop.actor)
    assert (found.abandoned, found.abandon_rate, found.conversion_rate) == (1, 1.0, 0.0)


def test_the_span_is_half_open_and_bounded(shop: Shop) -> None:
    first, second = moment("2026-03-01T00:00:00+00:00"), moment("2026-03-02T00:00:00+00:00")
    with clock.frozen(first):
        shop.session()
    with clock.frozen(second):
        shop.session()

    def begun(since: Any, until: Any) -> int:
        return checkout_metrics.funnel(shop.actor, since=since, until=until).checkout_initiated

    day = timedelta(days=1)
    assert [begun(first - day, first), begun(first, second), begun(second, second + day)] == [0, 1, 1]
    assert begun(first, second + day) == 2
    for since, until in ((second, first), (first, first), (first - 800 * day, first)):
        with pytest.raises(InvalidRequest):
            begun(since, until)


def test_another_merchant_and_the_other_mode_count_for_themselves(shop: Shop) -> None:
    shop.pay(shop.session())
    for actor in (make("Another shop").actor, replace(shop.actor, mode=Mode.LIVE)):
        found = checkout_metrics.funnel(actor)
        assert (found.checkout_initiated, found.payment_attempts) == (0, 0)


def test_a_days_question_looks_at_that_day_alone(shop: Shop) -> None:
    """Among thousands of checkouts of other times, two statements find the day's by an index."""
    shop.pay(shop.session())
    old_checkouts.fill(shop, 3000)
    now = clock.now() + timedelta(minutes=1)
    with counted() as sent:
        assert checkout_metrics.funnel(shop.actor, since=now - timedelta(days=1)).checkout_initiated == 1
    assert len(sent) == 2
    kind = db.engine().dialect.name
    with transaction() as look:
        for statement, index in (
            (checkout_metrics.checkouts(look, shop.actor, now - timedelta(days=1), now), "ix_journal_t"),
            (checkout_metrics.payments(shop.actor, now - timedelta(days=1), now), "ix_attempts_"),
        ):
            compiled = str(statement.compile(db.engine(), compile_kwargs={"literal_binds": True}))
            if "attempts" in compiled and kind == "postgresql":
                look.execute(text("SET LOCAL enable_seqscan = off"))  # one row is too small a table
            asked = f"EXPLAIN {'' if kind == 'postgresql' else 'QUERY PLAN '}{compiled}"
            plan = str(look.connection().exec_driver_sql(asked.replace("%", "%%")).all())
            assert index in plan, plan
            assert "created_at >" in plan or "created_at>" in plan, plan
            for table in ("checkout_sessions", "journal"):
                assert f"Seq Scan on {table}" not in plan
                assert f"SCAN {table}" not in plan
