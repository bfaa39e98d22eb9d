"""Figures for the dashboard's home screen: the last 30 days of one merchant and mode."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from app.db import reading
from app.domain.actor import Actor
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent

DAYS = 30


@dataclass(frozen=True, slots=True)
class Overview:
    """Sums in minor units per currency; `days` are (date, minor units) of the main currency."""

    volume: list[tuple[str, int]]
    refunded: int
    currency: str
    succeeded: int
    failed: int
    sessions: int
    completed: int
    days: list[tuple[str, int]]

    @property
    def success_rate(self) -> int | None:
        """Percent of finished payments that succeeded."""
        ended = self.succeeded + self.failed
        return round(100 * self.succeeded / ended) if ended else None

    @property
    def conversion(self) -> int | None:
        """Percent of sessions that were completed."""
        return round(100 * self.completed / self.sessions) if self.sessions else None


def overview(actor: Actor) -> Overview:
    """The figures, in three queries over a bounded span of ids and times."""
    since = clock.now() - timedelta(days=DAYS)
    mine = (
        PaymentIntent.tenant_id == actor.tenant_id,
        PaymentIntent.mode == actor.mode,
        PaymentIntent.created_at >= since,
        PaymentIntent.parent_intent_id.is_(None),
    )
    day = func.date(PaymentIntent.succeeded_at)
    by_day = (
        select(
            day,
            PaymentIntent.currency,
            func.sum(PaymentIntent.amount_captured),
            func.sum(PaymentIntent.amount_refunded),
            func.count(),
        )
        .where(*mine, PaymentIntent.status == "succeeded")
        .group_by(day, PaymentIntent.currency)
    )
    failed = select(func.count()).where(
        *mine, PaymentIntent.status.in_(("failed", "requires_payment_method")), PaymentIntent.attempts > 0
    )
    funnel = select(func.count(), func.count().filter(CheckoutSession.status == "completed")).where(
        CheckoutSession.tenant_id == actor.tenant_id,
        CheckoutSession.mode == actor.mode,
        CheckoutSession.created_at >= since,
    )
    with reading() as db:
        rows = db.execute(by_day).all()
        lost = db.scalar(failed) or 0
        sessions, completed = db.execute(funnel).one()
    volume: dict[str, int] = defaultdict(int)
    for _, currency, captured, _, _ in rows:
        volume[currency] += int(captured)
    ordered = sorted(volume.items(), key=lambda item: -item[1])
    main = ordered[0][0] if ordered else actor.tenant.default_currency
    return Overview(
        volume=ordered,
        currency=main,
        sessions=sessions,
        completed=completed,
        failed=lost,
        refunded=sum(int(row[3]) for row in rows if row[1] == main),
        succeeded=sum(int(row[4]) for row in rows),
        days=_fill_days({str(row[0]): int(row[2]) for row in rows if row[1] == main}),
    )


def _fill_days(known: dict[str, int]) -> list[tuple[str, int]]:
    today = clock.now().date()
    days = [str(today - timedelta(days=back)) for back in range(DAYS - 1, -1, -1)]
    return [(day, known.get(day, 0)) for day in days]
