"""What each day came to: counted once when the day is over, and afresh for the days that are not kept yet.

Every figure is of what happened on a day, told by an instant that is set once: captures, refunds that went
through (less those that banks sent back), the journal's outcomes of payments and of checkouts. So a day that
is over stands, and a chart of a year reads 365 rows and counts one day, whatever has been sold in it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Select, case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.event_types import EventType
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.events.journal import JournalEntry
from app.models.operations.day_figures import DayFigures
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund

#: A day is counted for good so long after its end: by then what it brought is committed.
SETTLES = timedelta(hours=1)
#: Days that are counted at once for one merchant.
CHUNK = 31

_ONE_DAY = timedelta(days=1)


@dataclass(slots=True)
class Figures:
    """A day's figures; see `DayFigures`. `money` is currency → name → minor units, or how many."""

    begun: int = 0
    paying: int = 0
    completed: int = 0
    paid: int = 0
    declined: int = 0
    money: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, other: Figures) -> None:
        """Add another day's."""
        for name in ("begun", "paying", "completed", "paid", "declined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for currency, amounts in other.money.items():
            for name, amount in amounts.items():
                self.add_money(currency, name, amount)

    def add_money(self, currency: str, name: str, amount: int) -> None:
        """Add to an amount of a currency."""
        of_currency = self.money.setdefault(currency, {})
        of_currency[name] = of_currency.get(name, 0) + amount

    def of(self, currency: str, name: str) -> int:
        """An amount of a currency."""
        return self.money.get(currency, {}).get(name, 0)


def between(actor: Actor, first: date, last: date) -> dict[date, Figures]:
    """Day → its figures, both ends included; days without any are there too."""
    found = {first + timedelta(days=n): Figures() for n in range((last - first).days + 1)}
    owner = (actor.tenant_id, str(actor.mode))
    with reading() as db:
        known = db.scalar(_last_kept(*owner))
        kept = select(DayFigures).where(
            DayFigures.tenant_id == owner[0],
            DayFigures.mode == owner[1],
            DayFigures.day >= first,
            DayFigures.day <= last,
        )
        for row in db.scalars(kept):
            found[row.day] = _figures(row)
        fresh = max(first, known + _ONE_DAY) if known else first
        if fresh <= last:
            found.update(count(db, *owner, fresh, last))
    return found


def keep_days() -> int:
    """Count the days that are over and not kept yet, of every merchant. Returns how many days.

    A merchant's days follow each other from its first fact on, so the last one tells what is missing.
    """
    over = (clock.now() - SETTLES).astimezone(UTC).date() - _ONE_DAY
    owner = (DayFigures.tenant_id, DayFigures.mode)
    with reading() as db:
        known = {
            (tenant_id, mode): last
            for tenant_id, mode, last in db.execute(select(*owner, func.max(DayFigures.day)).group_by(*owner))
        }
        firsts = {pair: db.scalar(_first_fact(*pair)) for pair in _owners(db) if pair not in known}
    kept = 0
    for pair, last in known.items():
        kept += _keep(*pair, last + _ONE_DAY, over)
    for pair, fact in firsts.items():
        if fact is not None:
            kept += _keep(*pair, fact.astimezone(UTC).date(), over)
    return kept


def forget(tenant_id: str, mode: str) -> None:
    """Count all days afresh, since facts of the past were written (the demo's)."""
    mine = (DayFigures.tenant_id == tenant_id, DayFigures.mode == mode)
    with transaction() as db:
        db.execute(delete(DayFigures).where(*mine).execution_options(synchronize_session=False))


def count(db: Session, tenant_id: str, mode: str, first: date, last: date) -> dict[date, Figures]:
    """Count days from the facts themselves: one statement for each kind of fact, over its index by time."""
    found: dict[date, Figures] = defaultdict(Figures)
    since, until = _midnight(first), _midnight(last + _ONE_DAY)
    span = _Span(tenant_id, mode, since, until)
    for day, currency, amount, number in db.execute(span.captured()):
        found[_day(day)].add_money(currency, "captured", int(amount))
        found[_day(day)].add_money(currency, "captures", number)
    for day, currency, amount, number in db.execute(span.refunded()):
        found[_day(day)].add_money(currency, "refunded", int(amount))
        found[_day(day)].add_money(currency, "refunds", number)
    for day, currency, amount, number in db.execute(span.sent_back()):
        found[_day(day)].add_money(currency, "refunded", -int(amount))
        found[_day(day)].add_money(currency, "refunds", -number)
    for day, paid, declined in db.execute(span.outcomes()):
        found[_day(day)].paid, found[_day(day)].declined = int(paid), int(declined)
    for day, begun, completed in db.execute(span.checkouts()):
        found[_day(day)].begun, found[_day(day)].completed = int(begun), int(completed)
    for day, paying in db.execute(span.paying()):
        found[_day(day)].paying = paying
    return dict(found)


@dataclass(frozen=True, slots=True)
class _Span:
    tenant_id: str
    mode: str
    since: datetime
    until: datetime

    def captured(self) -> Select[Any]:
        day = func.date(Attempt.captured_at)
        return (
            select(day, Attempt.currency, func.sum(Attempt.amount_captured), func.count())
            .where(*self._within(Attempt, Attempt.captured_at))
            .group_by(day, Attempt.currency)
        )

    def refunded(self) -> Select[Any]:
        day = func.date(Refund.succeeded_at)
        return (
            select(day, Refund.currency, func.sum(Refund.amount), func.count())
            .where(*self._within(Refund, Refund.succeeded_at))
            .group_by(day, Refund.currency)
        )

    def sent_back(self) -> Select[Any]:
        """Refunds that had gone through, and that a bank sent back on this day."""
        day = func.date(JournalEntry.created_at)
        return (
            select(day, Refund.currency, func.sum(Refund.amount), func.count())
            .select_from(JournalEntry)
            .join(Refund, Refund.id == JournalEntry.entity_id)
            .where(
                *self._within(JournalEntry, JournalEntry.created_at),
                JournalEntry.type == EventType.REFUND_FAILED,
                JournalEntry.from_status == "succeeded",
            )
            .group_by(day, Refund.currency)
        )

    def outcomes(self) -> Select[Any]:
        """Payments that came to something that day: one that was declined and then paid counts as paid."""
        day = func.date(JournalEntry.created_at).label("day")
        won = func.max(case((JournalEntry.type == EventType.PAYMENT_SUCCEEDED, 1), else_=0)).label("won")
        each = (
            select(day, won)
            .where(
                *self._within(JournalEntry, JournalEntry.created_at),
                JournalEntry.type.in_((EventType.PAYMENT_SUCCEEDED, EventType.PAYMENT_FAILED)),
            )
            .group_by(day, JournalEntry.payment_intent_id)
            .subquery()
        )
        total = func.sum(each.c.won)
        return select(each.c.day, total, func.count() - total).group_by(each.c.day)

    def checkouts(self) -> Select[Any]:
        day = func.date(JournalEntry.created_at)
        types = (EventType.CHECKOUT_CREATED, EventType.CHECKOUT_COMPLETED)
        counted = [func.sum(case((JournalEntry.type == name, 1), else_=0)) for name in types]
        return (
            select(day, *counted)
            .where(*self._within(JournalEntry, JournalEntry.created_at), JournalEntry.type.in_(types))
            .group_by(day)
        )

    def paying(self) -> Select[Any]:
        day = func.date(Attempt.created_at)
        return (
            select(day, func.count(Attempt.checkout_id.distinct()))
            .where(*self._within(Attempt, Attempt.created_at), Attempt.checkout_id.is_not(None))
            .group_by(day)
        )

    def _within(self, table: Any, at: Any) -> tuple[Any, ...]:
        return (
            table.tenant_id == self.tenant_id,
            table.mode == self.mode,
            at >= self.since,
            at < self.until,
        )


def _keep(tenant_id: str, mode: str, first: date, over: date) -> int:
    """Keep the next days of one merchant; two workers that do so at once write the same."""
    last = min(over, first + timedelta(days=CHUNK - 1))
    if last < first:
        return 0
    with reading() as db:
        counted = count(db, tenant_id, mode, first, last)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    with transaction() as db:
        insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
        for day in days:
            row = counted.get(day) or Figures()
            values = {name: getattr(row, name) for name in Figures.__slots__}
            made = insert(DayFigures).values(tenant_id=tenant_id, mode=mode, day=day, **values)
            db.execute(made.on_conflict_do_nothing())
    return len(days)


def _figures(row: DayFigures) -> Figures:
    return Figures(row.begun, row.paying, row.completed, row.paid, row.declined, row.money)


def _owners(db: Session) -> list[tuple[str, str]]:
    return [(tenant_id, mode) for tenant_id in db.scalars(select(Tenant.id)) for mode in ("test", "live")]


def _first_fact(tenant_id: str, mode: str) -> Select[Any]:
    return select(func.min(JournalEntry.created_at)).where(
        JournalEntry.tenant_id == tenant_id, JournalEntry.mode == mode
    )


def _last_kept(tenant_id: str, mode: str) -> Select[Any]:
    return select(func.max(DayFigures.day)).where(DayFigures.tenant_id == tenant_id, DayFigures.mode == mode)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(told: Any) -> date:
    """SQLite tells a day as a text."""
    return told if isinstance(told, date) else date.fromisoformat(told)
