"""Failed checkouts in pages, notes, and the timeline: what they tell, to whom, and at what cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from app.db import reading, transaction
from app.domain.errors import InvalidRequest, NotFound, Unprocessable
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.models.checkout.support_note import SupportNote
from app.models.events.journal import JournalEntry
from app.services.checkout import (
    calculations,
    details,
    failures,
    holds,
    payment,
    resolutions,
    sessions,
    support_notes,
    timelines,
)
from app.services.checkout.failures import Filters
from app.services.checkout.resolutions import Resolution
from tests.failures import failed, told
from tests.risks import HIGHEST
from tests.shops import GOOD, NO_FUNDS, Shop, later, make
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("holds")


def listed(shop: Shop, **which: Any) -> list[str]:
    return [found.session.id for found in failures.list_page(shop.actor, Filters(**which)).data]


def walked(read: Any, limit: int) -> list[Any]:
    """Every row of a list, page by page."""
    rows, cursor = [], None
    while True:
        page = read(limit, cursor)
        assert len(page.data) <= limit
        rows += page.data
        if not page.has_more:
            return rows
        cursor = page.next_cursor


def test_failures_are_listed_with_their_reasons_the_latest_first(shop: Shop) -> None:
    older = failed(shop)
    with later(60):
        newer = failed(shop)
    shop.session()
    page = failures.list_page(shop.actor, Filters())
    assert [found.session.id for found in page.data] == [newer.id, older.id]
    assert page.data[0].session.failure_reason == "payment_declined"
    assert page.data[0].explain["reason"] == "payment_declined:insufficient_funds"
    assert page.data[0].at - page.data[1].at >= timedelta(seconds=59)
    other = make("Other shop")
    assert listed(other) == []


def test_filters_by_reason_and_time(shop: Shop) -> None:
    first = failed(shop)
    with later(3600):
        second = failed(shop)
    with transaction() as db:
        db.get_one(CheckoutSession, first.id).failure_reason = "inventory"
    assert listed(shop, reason="inventory") == [first.id]
    assert listed(shop, reason="payment_declined") == [second.id]
    assert listed(shop, reason="fraud") == []
    assert second.failed_at is not None
    assert listed(shop, since=second.failed_at) == [second.id]
    assert listed(shop, until=second.failed_at) == [first.id]
    [found] = failures.list_page(shop.actor, Filters("inventory")).data
    assert found.explain == {"reason": "inventory"}


def test_what_was_resolved_is_no_longer_listed(shop: Shop) -> None:
    session = failed(shop)
    assert listed(shop) == [session.id]
    resolutions.resolve(shop.actor, session.id, Resolution(resolutions.REPLACE))
    assert listed(shop) == []
    failed(shop)
    assert len(listed(shop)) == 1


def test_pages_show_each_failure_once_also_of_one_instant(shop: Shop) -> None:
    with clock.frozen(clock.now()):
        made = {failed(shop).id for _ in range(5)}
    rows = walked(lambda n, c: failures.list_page(shop.actor, Filters(), limit=n, cursor=c), 2)
    ids = [found.session.id for found in rows]
    assert (set(ids), len(ids)) == (made, 5)
    for cursor in ("x", "MTIz", "e30"):
        with pytest.raises(InvalidRequest):
            failures.list_page(shop.actor, Filters(), cursor=cursor)


@pytest.mark.parametrize("which", [{}, {"reason": "fraud"}])
def test_an_index_serves_the_list_and_its_filter(shop: Shop, which: dict[str, str]) -> None:
    failed(shop)
    with counted() as sent:
        failures.list_page(shop.actor, Filters(**which))
    assert len(sent) == 1, sent
    with reading() as db:
        if db.get_bind().dialect.name != "sqlite":
            db.execute(text("SET LOCAL enable_seqscan = off"))
            db.execute(text("SET LOCAL enable_sort = off"))
        explained = _explained(db, which)
    assert "ix_checkout_sessions_failed" + ("_why" if which else "") in explained
    assert "TEMP B-TREE" not in explained
    assert "Sort" not in explained


def _explained(db: Any, which: dict[str, str]) -> str:
    """How the database goes about the list."""
    row = CheckoutSession
    statement = select(row.id).where(row.tenant_id == "ten_1", row.mode == "test", row.failed_at.is_not(None))
    if which:
        statement = statement.where(row.failure_reason == "fraud")
    ordered = statement.order_by(row.failed_at.desc(), row.id.desc()).limit(21)
    sql = str(ordered.compile(db.get_bind(), compile_kwargs={"literal_binds": True}))
    prefix = "EXPLAIN QUERY PLAN " if db.get_bind().dialect.name == "sqlite" else "EXPLAIN "
    return "\n".join(str(line) for line in db.execute(text(prefix + sql)))


def test_what_the_risk_rules_block_failed_of_fraud(shop: Shop) -> None:
    session = failed(shop, HIGHEST)
    assert listed(shop, reason="fraud") == [session.id]
    [found] = failures.list_page(shop.actor, Filters("fraud")).data
    assert found.explain["reason"] == "fraud_block"


def test_a_note_is_kept_told_and_shown_whatever_has_become_of_the_checkout(shop: Shop) -> None:
    paid = shop.session()
    shop.pay(paid)
    canceled = shop.session()
    sessions.cancel(shop.actor, canceled.id)
    for session in (paid, canceled, failed(shop)):
        before = shop.read(session)
        note = support_notes.add(shop.actor, session.id, "  Called; wants it by Friday. ", author="Ann")
        assert (note.text, note.author, note.created_by) == (
            "Called; wants it by Friday.",
            "Ann",
            shop.actor.id,
        )
        last = timelines.page(shop.actor, session.id, limit=100).data[-1]
        assert (last.type, last.entity_id) == (support_notes.ADDED, note.id)
        assert last.details == {"note": "Called; wants it by Friday.", "author": "Ann"}
        assert last.actor_id == shop.actor.id
        [entry] = told(shop, session, support_notes.ADDED)
        assert "Friday" not in str(entry.data), "the journal cannot be erased"
        after = shop.read(session)
        assert (after.status, after.version) == (before.status, before.version)


def test_a_note_without_an_author_is_the_callers(shop: Shop) -> None:
    assert support_notes.add(shop.actor, shop.session().id, "x").author == shop.actor.label


def test_notes_that_are_not_taken(shop: Shop) -> None:
    session = shop.session()
    for words, author in ((f"card {GOOD}", None), ("4242 4242-4242 4242", None), ("hello", GOOD)):
        with pytest.raises(Unprocessable) as refused:
            support_notes.add(shop.actor, session.id, words, author=author)
        assert refused.value.code == "card_number_refused"
    with pytest.raises(InvalidRequest):
        support_notes.add(shop.actor, session.id, " \n ")
    with pytest.raises(NotFound):
        support_notes.add(make("Other shop").actor, session.id, "hello")
    with reading() as db:
        assert db.scalars(select(SupportNote)).all() == []


def test_the_timeline_tells_calculations_reservations_and_payments_in_order(shop: Shop) -> None:
    session = shop.session()
    details.set_contact(shop.actor, session.id, {"email": "ann@example.com", "phone": "+44 20 7946 0000"})
    calculations.calculate(shop.actor, session.id, force=True)
    holds.reserve(shop.actor, session.id)
    shop.pay(session, NO_FUNDS, "first")
    shop.pay(session, GOOD, "second")
    entries = timelines.page(shop.actor, session.id, limit=100).data
    types = [entry.type for entry in entries]
    assert types[0] == "checkout.created"
    wanted = [
        "checkout.created",
        "checkout.updated",
        timelines.CALCULATED,
        "reservation.active",
        "attempt.submitted",
        "attempt.declined",
        "payment.failed",
        "attempt.captured",
        "reservation.captured",
        "payment.succeeded",
        "checkout.completed",
    ]
    places = [types.index(name) for name in wanted]
    assert {name: types.count(name) for name in (timelines.CALCULATED, "attempt.submitted")} == {
        timelines.CALCULATED: 3,
        "attempt.submitted": 2,
    }
    assert places[:7] == sorted(places[:7])
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    declined = next(entry for entry in entries if entry.type == "attempt.declined")
    assert declined.details["decline_code"] == "insufficient_funds"
    calculated = next(entry for entry in entries if entry.type == timelines.CALCULATED)
    assert calculated.details["totals"]["grand_total"] == 1620


def test_the_timeline_keeps_people_and_secrets_to_itself(shop: Shop) -> None:
    session = shop.session(
        metadata={"token": "s3cr3t"}, customer={"email": "ann@example.com", "name": "Ann Buyer"}
    )
    shop.pay(session)
    shown = str(timelines.page(shop.actor, session.id, limit=100).data)
    for word in ("s3cr3t", "ann@example.com", "Ann Buyer", GOOD, "nonce"):
        assert word not in shown


def test_the_timeline_comes_in_pages_of_the_same_entries(shop: Shop) -> None:
    session = shop.session()
    calculations.calculate(shop.actor, session.id, force=True)
    support_notes.add(shop.actor, session.id, "hello")
    shop.pay(session, NO_FUNDS, "first")
    shop.pay(session, GOOD, "second")
    whole = timelines.page(shop.actor, session.id, limit=100).data
    for size in (1, 2, 7):
        rows = walked(lambda n, c: timelines.page(shop.actor, session.id, limit=n, cursor=c), size)
        assert [row.id for row in rows] == [row.id for row in whole]
    for cursor in ("x", "MTIz", "e30"):
        with pytest.raises(InvalidRequest):
            timelines.page(shop.actor, session.id, cursor=cursor)


def test_a_page_costs_the_same_whatever_is_in_it(shop: Shop) -> None:
    session = shop.session()
    with counted() as few:
        timelines.page(shop.actor, session.id)
    for number in range(12):
        calculations.calculate(shop.actor, session.id, force=True)
        support_notes.add(shop.actor, session.id, f"note {number}")
    with counted() as many:
        assert len(timelines.page(shop.actor, session.id).data) == 20
    assert len(many) == len(few) + 1, "one more, for all notes"


def test_timelines_are_their_merchants(shop: Shop) -> None:
    session = shop.session()
    with pytest.raises(NotFound):
        timelines.page(make("Other shop").actor, session.id)
    other = shop.session()
    entries = timelines.page(shop.actor, session.id).data
    with reading() as db:
        mine = set(db.scalars(select(JournalEntry.id).where(JournalEntry.checkout_id == other.id)))
    assert not mine & {entry.id for entry in entries}
    assert payment.sweep() == 0
