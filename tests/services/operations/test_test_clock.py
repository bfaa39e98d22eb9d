"""The test clock: one merchant's test mode goes forward; nobody else's, and no live row, does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.connectors.sandbox import book
from app.db import reading
from app.domain.actor import Mode
from app.domain.errors import InvalidRequest, PermissionDenied
from app.kit import clock
from app.models.events.journal import JournalEntry
from app.models.operations.job import Job
from app.models.payments.attempt import Attempt
from app.models.treasury.settlement import Settlement
from app.services.checkout import links, payment, reservations, sessions
from app.services.checkout.link_terms import LinkDraft
from app.services.events import deliveries
from app.services.operations import invariants, test_clock
from app.services.payments import disputes, intents, methods, refunds
from app.services.treasury import statements
from tests import disputes as dispute_tests
from tests import shops, treasuries
from tests.shops import CHALLENGED, GOOD, Shop

DAY = 86_400


def test_sessions_and_their_holds_end(shop: Shop) -> None:
    other = shops.make("Other")
    mine, theirs = shop.session(), other.session()
    test_clock.advance(shop.actor, 7200)
    assert reservations.expire_due() + sessions.expire_due() >= 1
    assert (shop.read(mine).status, shop.read(mine).cancel_reason) == ("canceled", "expired")
    assert other.read(theirs).status != "canceled"
    assert other.read(theirs).expires_at == theirs.expires_at
    assert shop.left("MUG")[1] == 0


def test_an_instant_moves_to_the_second_and_what_has_happened_stays(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, CHALLENGED)
    before = shop.attempts(session)[0]
    assert before.action_expires_at is not None and before.next_query_at is not None
    test_clock.advance(shop.actor, 61)
    after = shop.attempts(session)[0]
    for name in ("action_expires_at", "next_query_at"):
        moved = getattr(before, name) - getattr(after, name)
        assert abs(moved - timedelta(seconds=61)) < timedelta(milliseconds=2), name
    assert (after.created_at, after.updated_at) == (before.created_at, before.updated_at)
    with reading() as db:
        told = db.scalars(select(JournalEntry).where(JournalEntry.type == test_clock.ADVANCED)).one()
    assert told.data["after"]["seconds"] == 61 and told.tenant_id == shop.actor.tenant_id


def test_an_authorisation_lapses_at_the_gateway_and_here(shop: Shop) -> None:
    held = _held(shop)
    test_clock.advance(shop.actor, 8 * DAY)
    for _ in range(3):
        payment.sweep()
    assert intents.get(shop.actor, held).status == "canceled"


def _held(shop: Shop) -> str:
    made = methods.tokenize_card(shop.actor, shops.card(GOOD))
    draft = intents.IntentDraft(2000, "GBP", capture_mode="manual", payment_method_id=made.id)
    intent = intents.create(shop.actor, draft)
    intents.confirm(shop.actor, intent.id, nonce="n")
    return intent.id


def test_a_refund_that_waits_at_the_gateway_is_asked_about(shop: Shop) -> None:
    charge = treasuries.pay(shop, 5000, "4000000000007726")
    refund_id = treasuries.give_back(shop, charge, 1000)
    assert refunds.get(shop.actor, refund_id).status == "processing"
    test_clock.advance(shop.actor, DAY)
    refunds.sweep()
    assert refunds.get(shop.actor, refund_id).status == "succeeded"
    assert invariants.check() == []


def test_a_dispute_falls_due(shop: Shop) -> None:
    dispute = dispute_tests.told(shop.actor, dispute_tests.FRAUD)
    assert dispute.status == "needs_response"
    test_clock.advance(shop.actor, 31 * DAY)
    disputes.sweep()
    assert disputes.get(shop.actor, dispute.id).status in ("lost", "closed")
    assert invariants.check() == []


def test_days_are_settled_and_become_available_again_and_again(shop: Shop) -> None:
    with treasuries.from_noon():
        for number in (1, 2, 3):
            treasuries.pay(shop, 10_000, GOOD)
            test_clock.advance(shop.actor, DAY)
            treasuries.work()
            found = treasuries.rows(Settlement)
            assert len(found) == number, "the day's statement was drawn up and read"
            assert found[-1].net == 9_840
        test_clock.advance(shop.actor, 2 * DAY)
        assert statements.post_due() >= 1
        statements.post_due()
        rows = treasuries.rows(Settlement)
        assert {row.status for row in rows} == {"posted"}
        assert len({row.reference for row in rows}) == 3
        assert treasuries.account(shop, "balance:sandbox") == 3 * 9_840
        assert invariants.check() == []


def test_deliveries_and_jobs_come_earlier_but_not_those_in_work(shop: Shop) -> None:
    now = clock.now()
    with reading() as db:
        before = {row.id: (row.status, row.due_at) for row in db.scalars(select(Job))}
    test_clock.advance(shop.actor, 3600)
    with reading() as db:
        for row in db.scalars(select(Job).where(Job.id.in_(before))):
            status, due_at = before[row.id]
            assert row.due_at == due_at if status not in ("queued", "retry_wait") else row.due_at < due_at
        [sync] = [row for row in db.scalars(select(Job)) if row.id not in before]
    assert (sync.name, sync.tenant_id, sync.mode) == ("settlements.sync", shop.actor.tenant_id, "test")
    assert deliveries.due() == [] and clock.now() - now < timedelta(minutes=5)


def test_live_rows_and_other_merchants_stay(shop: Shop) -> None:
    other = shops.make("Other")
    live = replace(shop.actor, mode=Mode.LIVE)
    ends = clock.now() + timedelta(days=5)
    made: list[Any] = [
        links.create(who, LinkDraft(title="L", currency="GBP", amount=500, expires_at=ends))
        for who in (shop.actor, live, other.actor)
    ]
    treasuries.pay(other, 5000, GOOD)
    with reading() as db:
        foreign = db.execute(select(book.payments).where(book.payments.c.tenant_id == other.actor.tenant_id))
        before = foreign.mappings().one()
        tried = db.scalars(select(Attempt).where(Attempt.tenant_id == other.actor.tenant_id)).one()
    test_clock.advance(shop.actor, DAY)
    after = [
        links.get(who, link.id).expires_at
        for who, link in zip((shop.actor, live, other.actor), made, strict=True)
    ]
    assert after[0] is not None and abs(ends - after[0] - timedelta(days=1)) < timedelta(milliseconds=2)
    assert after[1:] == [made[1].expires_at, made[2].expires_at]
    with reading() as db:
        again = db.execute(select(book.payments).where(book.payments.c.reference == before["reference"]))
        assert dict(again.mappings().one()) == dict(before)
        assert db.get_one(Attempt, tried.id).auth_expires_at == tried.auth_expires_at


@pytest.mark.parametrize("seconds", [0, -1, 91 * DAY])
def test_how_far_it_may_go(shop: Shop, seconds: int) -> None:
    with pytest.raises(InvalidRequest):
        test_clock.advance(shop.actor, seconds)


def test_live_mode_has_no_such_clock(shop: Shop) -> None:
    with pytest.raises(PermissionDenied):
        test_clock.advance(replace(shop.actor, mode=Mode.LIVE), 60)
    with pytest.raises(PermissionDenied):
        test_clock.advance(replace(shop.actor, permissions=frozenset({"sandbox:read"})), 60)
