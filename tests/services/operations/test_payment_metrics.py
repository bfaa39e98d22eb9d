"""Metrics: each rate against payments that were made for it, its groups, and that a span is an index's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from app import db
from app.db import transaction
from app.domain.errors import InvalidRequest
from app.kit import clock
from app.models.events.journal import record
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.treasury.settlement import SettlementLine
from app.services.operations import payment_metrics
from app.services.operations.payment_metrics import Measures, Report
from app.services.payments import intents, methods, refunds
from tests import treasuries
from tests.accounts import account
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card, make, moment
from tests.statements import counted


def pay(shop: Shop, number: str = GOOD, currency: str = "GBP") -> str:
    method = methods.tokenize_card(shop.actor, card(number))
    draft = intents.IntentDraft(1000, currency, payment_method_id=method.id)
    made = intents.create(shop.actor, draft)
    intents.confirm(shop.actor, made.id, nonce="n1")
    return made.id


def tell(shop: Shop, intent_id: str, type_: str, status: str) -> None:
    """What the journal holds of a dispute."""
    with transaction() as session:
        record(
            session,
            type_,
            tenant_id=shop.actor.tenant_id,
            mode="test",
            entity="dispute",
            entity_id=f"dp_{intent_id}",
            cause="gateway",
            payment_intent_id=intent_id,
            to_status=status,
        )


def move(model: Any, row_id: str, at: str) -> None:
    with transaction() as session:
        session.execute(update(model).where(model.id == row_id).values(created_at=moment(at)))


def group(found: Report, key: str) -> Measures:
    return dict(found.groups)[key]


def test_nothing_divides_by_nothing(shop: Shop) -> None:
    found = payment_metrics.report(shop.actor, group_by="day")
    assert found.total == Measures(0, *[None] * 8)
    assert (found.groups, found.connectors, found.decline_reasons) == ([], [], [])


def test_each_rate_is_what_happened(shop: Shop) -> None:
    paid = [pay(shop) for _ in range(6)]
    pay(shop, NO_FUNDS)
    pay(shop, "4000000000000002")
    pay(shop, CHALLENGED)
    intents.create(shop.actor, intents.IntentDraft(1000, "GBP"))
    refunds.send(refunds.create(shop.actor, paid[0], 100).id)
    refunds.cancel(shop.actor, refunds.create(shop.actor, paid[0], 100).id)
    back = refunds.create(shop.actor, paid[1], 100)
    with transaction() as session:
        session.execute(
            text("UPDATE refunds SET status = 'failed', failure_reason = 'x' WHERE id = :id"), {"id": back.id}
        )
    tell(shop, paid[0], "dispute.created", "needs_response")
    tell(shop, paid[0], "dispute.won", "won")
    tell(shop, paid[1], "dispute.created", "needs_response")
    tell(shop, paid[1], "dispute.lost", "lost")
    tell(shop, paid[2], "dispute.created", "warning")
    tell(shop, paid[2], "dispute.needs_response", "needs_response")
    tell(shop, paid[3], "dispute.created", "warning")

    total = payment_metrics.report(shop.actor).total
    assert total.payments_count == 9, "what was never tried is no payment"
    assert total.success_rate == pytest.approx(6 / 8)
    assert total.decline_rate == pytest.approx(2 / 8)
    assert total.three_ds_challenge_rate == pytest.approx(1 / 9, abs=1e-4)
    assert total.refund_failure_rate == pytest.approx(1 / 2)
    assert total.chargeback_rate == pytest.approx(3 / 6)
    assert total.dispute_win_rate == pytest.approx(1 / 2)
    assert total.avg_authorization_latency_ms is not None
    assert 0 <= total.avg_authorization_latency_ms < 10_000
    reasons = payment_metrics.report(shop.actor).decline_reasons
    assert sorted(reasons) == [("generic_decline", 1), ("insufficient_funds", 1)]


def test_latency_is_the_gateways_not_the_shoppers(shop: Shop) -> None:
    pay(shop)
    slow = pay(shop, CHALLENGED)
    with transaction() as session:
        for attempt in session.query(Attempt):
            seconds = 3600 if attempt.intent_id == slow else 2
            attempt.authorized_at = attempt.created_at + timedelta(seconds=seconds)
    assert payment_metrics.report(shop.actor).total.avg_authorization_latency_ms == 2000


def test_settlement_delay_is_from_capture_to_statement(shop: Shop) -> None:
    treasuries.settled(shop)
    with transaction() as session:
        [attempt] = session.query(Attempt)
        [line] = session.query(SettlementLine).filter_by(transaction_id=attempt.id)
        attempt.captured_at = line.settled_at - timedelta(days=2)
    for group_by in (None, "connector", "method", "currency", "day"):
        found = payment_metrics.report(shop.actor, group_by=group_by, until=clock.now() + timedelta(days=1))
        assert found.total.avg_settlement_delay == 2 * 86_400
    assert found.groups[0][1].avg_settlement_delay == 2 * 86_400
    with transaction() as session:  # as a test clock leaves it
        session.get_one(Attempt, attempt.id).captured_at = line.settled_at + timedelta(days=2)
    found = payment_metrics.report(shop.actor, group_by="day", until=clock.now() + timedelta(days=1))
    assert found.total.avg_settlement_delay == found.groups[0][1].avg_settlement_delay == 0


def test_groups_divide_the_whole(shop: Shop) -> None:
    pay(shop)
    pay(shop, NO_FUNDS)
    pay(shop, currency="EUR")
    by_currency = payment_metrics.report(shop.actor, group_by="currency")
    assert [key for key, _ in by_currency.groups] == ["EUR", "GBP"]
    assert (group(by_currency, "GBP").payments_count, group(by_currency, "GBP").success_rate) == (2, 0.5)
    assert group(by_currency, "EUR").decline_rate == 0.0
    for by, key in (("connector", "sandbox"), ("method", "card")):
        found = payment_metrics.report(shop.actor, group_by=by)
        assert [name for name, _ in found.groups] == [key]
        assert group(found, key) == found.total
    assert dict(by_currency.connectors)["sandbox"] == by_currency.total
    bad, good = account(shop.actor, 1, availability="down"), account(shop.actor, 2)
    pay(shop)
    connectors = dict(payment_metrics.report(shop.actor).connectors)
    assert set(connectors) == {"sandbox", bad.id, good.id}, "each account by itself"
    assert (connectors[bad.id].decline_rate, connectors[good.id].success_rate) == (1.0, 1.0)


def test_periods_are_days_weeks_and_months_in_utc(shop: Shop) -> None:
    times = {
        "2026-03-01T23:59:59+00:00": ("2026-03-01", "2026-02-23", "2026-03"),
        "2026-03-02T00:00:00+00:00": ("2026-03-02", "2026-03-02", "2026-03"),
        "2026-03-08T12:00:00+00:00": ("2026-03-08", "2026-03-02", "2026-03"),
        "2026-02-28T12:00:00+00:00": ("2026-02-28", "2026-02-23", "2026-02"),
    }
    for at in times:
        move(PaymentIntent, pay(shop), at)
    span = {"since": moment("2026-02-01T00:00:00+00:00"), "until": moment("2026-04-01T00:00:00+00:00")}
    for place, unit in enumerate(("day", "week", "month")):
        found = payment_metrics.report(shop.actor, group_by=unit, **span)
        wanted = sorted(names[place] for names in times.values())
        counts = [key for key, measures in found.groups for _ in range(measures.payments_count)]
        assert counts == wanted


def test_the_span_is_half_open_and_bounded(shop: Shop) -> None:
    intent_id = pay(shop)
    move(PaymentIntent, intent_id, "2026-03-01T00:00:00+00:00")
    first, second = moment("2026-03-01T00:00:00+00:00"), moment("2026-03-02T00:00:00+00:00")
    assert payment_metrics.report(shop.actor, since=first, until=second).total.payments_count == 1
    assert (
        payment_metrics.report(shop.actor, since=first - timedelta(days=1), until=first).total.payments_count
        == 0
    )
    for since, until in ((second, first), (first, first), (first - timedelta(days=800), first)):
        with pytest.raises(InvalidRequest):
            payment_metrics.report(shop.actor, since=since, until=until)


def test_another_merchant_and_the_other_mode_count_for_themselves(shop: Shop) -> None:
    from dataclasses import replace

    from app.domain.actor import Mode

    other = make("Another shop")
    pay(shop)
    assert payment_metrics.report(other.actor).total.payments_count == 0
    assert payment_metrics.report(replace(shop.actor, mode=Mode.LIVE)).total.payments_count == 0


def test_a_report_takes_a_few_statements_each_over_an_index(shop: Shop) -> None:
    """Among many payments of other times, the span is found by the index and not by looking at all."""
    pay(shop)
    _fill(shop, 3000)
    with counted() as sent:
        payment_metrics.report(shop.actor, since=clock.now() - timedelta(days=1), group_by="day")
    assert len(sent) == 11
    kind = db.engine().dialect.name
    now = clock.now()
    with transaction() as session:
        if kind == "postgresql":
            session.execute(text("SET LOCAL enable_seqscan = off"))  # some tables are too small for an index
        span = payment_metrics._Span(session, shop.actor, now - timedelta(hours=1), now)
        for statement in (
            span._payments("day"),
            span._attempts("day"),
            span._refunds("day"),
            span._disputes("day"),
        ):
            compiled = str(statement.compile(db.engine(), compile_kwargs={"literal_binds": True}))
            asked = f"EXPLAIN {'' if kind == 'postgresql' else 'QUERY PLAN '}{compiled}"
            plan = str(session.connection().exec_driver_sql(asked).all())
            table = "journal" if "journal" in compiled else ""
            # Of a table with a row or two the planner may take any index that bounds the time.
            bounded = "_time" in plan or ("Index Cond" in plan and "created_at >=" in plan)
            assert bounded or (table and "ix_journal_type" in plan), plan
            assert "Seq Scan on payment_intents" not in plan
            assert "SCAN payment_intents" not in plan


def _fill(shop: Shop, count: int) -> None:
    """Old payments by the thousand."""
    with transaction() as session:
        one = session.query(PaymentIntent).first()
        row = {c.key: getattr(one, a.key) for a in PaymentIntent.__mapper__.column_attrs for c in a.columns}
        at = clock.now() - timedelta(days=400)
        session.execute(
            insert(PaymentIntent.__table__),
            [{**row, "id": f"pi_fill{n:06}", "created_at": at + timedelta(minutes=n)} for n in range(count)],
        )
    if db.engine().dialect.name == "postgresql":
        with transaction() as session:
            session.execute(text("ANALYZE"))
