"""Connector logs: a row for each call, written beside the payment, without secrets, for thirty days."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app import db as database_module
from app.db import reading
from app.kit import clock
from app.models.payments.connector import ConnectorLog
from app.services.checkout import payment
from app.services.payments import connector_logs, refunds
from tests.accounts import account, logged
from tests.shops import TIMES_OUT_AFTER, Shop, later
from tests.workers import until

pytestmark = pytest.mark.usefixtures("breaker")

SECRET = "sk_test_51Habcdefghijkl9876"


def kept() -> int:
    with reading() as db:
        return db.scalar(select(func.count()).select_from(ConnectorLog)) or 0


def test_every_call_has_a_row_with_our_key_and_the_gateways_reference(shop: Shop) -> None:
    made = account(shop.actor, api_key=SECRET)
    session = shop.session()
    shop.pay(session)
    [attempt] = shop.attempts(session)
    refund = refunds.create(shop.actor, shop.intent(session).id)
    refunds.send(refund.id)
    rows = logged(shop.actor, made.id)
    assert [(r.operation, r.outcome, r.key, r.entity_id) for r in rows] == [
        ("authorize", "approved", f"authorize_{attempt.id}", attempt.id),
        ("capture", "approved", f"capture_{attempt.id}", attempt.id),
        ("refund", "approved", f"refund_{refund.id}", refund.id),
    ]
    assert rows[0].reference == attempt.gateway_reference
    assert all(r.latency_ms >= 0 and r.error is None for r in rows)
    assert SECRET not in repr([vars(r) for r in rows])


def test_questions_after_a_lost_answer_are_logged_too(shop: Shop) -> None:
    made = account(shop.actor)
    shop.pay(shop.session(), TIMES_OUT_AFTER)
    with later(40):
        payment.sweep()
    assert [(r.operation, r.outcome, r.error) for r in logged(shop.actor, made.id)] == [
        ("authorize", "unknown", "timed out"),
        ("find", "found", None),
        ("capture", "approved", None),
    ]


def test_pages_and_filters(shop: Shop) -> None:
    made = account(shop.actor)
    for _ in range(3):
        shop.pay(shop.session())
    whole = logged(shop.actor, made.id)[::-1]
    first = connector_logs.list_page(shop.actor, made.id, limit=4)
    second = connector_logs.list_page(shop.actor, made.id, limit=4, cursor=first.next_cursor)
    assert [r.id for r in first.data + second.data] == [r.id for r in whole]
    captures = connector_logs.list_page(shop.actor, made.id, operation="capture")
    assert {r.operation for r in captures.data} == {"capture"} and len(captures.data) == 3
    assert connector_logs.list_page(shop.actor, made.id, outcome="declined").data == []


def test_nothing_is_written_while_a_payment_is_made_and_all_of_it_after(shop: Shop) -> None:
    shop.pay(shop.session())
    assert kept() == 0
    assert connector_logs.flush() == 2
    assert (kept(), connector_logs.flush()) == (2, 0)


def test_a_thread_writes_soon(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector_logs, "delay_seconds", 0.01)
    shop.pay(shop.session())
    until(lambda: kept() == 2)


def test_a_log_that_cannot_be_written_breaks_no_payment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError

    monkeypatch.setattr(connector_logs, "flush", broken)
    connector_logs._write_now()
    assert shop.pay(shop.session()).status == "completed"


def test_rows_of_a_database_that_was_left_are_dropped(shop: Shop, database: str) -> None:
    shop.pay(shop.session())
    database_module.configure(database, ephemeral=True)
    assert (connector_logs.flush(), kept()) == (0, 0)


def test_old_rows_go_in_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector_logs, "_BATCH", 2)
    for _ in range(3):
        shop.pay(shop.session())
    connector_logs.flush()
    assert (connector_logs.clean(), kept()) == (0, 6)
    with clock.frozen(clock.now() + connector_logs.KEEP + timedelta(minutes=1)):
        shop.pay(shop.session(lifetime_seconds=300))
        connector_logs.flush()
        assert (connector_logs.clean(), kept()) == (6, 2)
