"""What a merchant's payments usually come to, looked up once a minute and process."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain.lifecycles.intents import Status
from app.domain.rules.fraud import MIN_HISTORY
from app.kit import clock
from app.models.payments.intent import PaymentIntent

#: So many of the newest payments are looked at, in whatever currency: the look-up never grows.
LAST = 200
KEEP_SECONDS = 60
MAX_KEPT = 10_000

_kept: dict[tuple[str, str, str], tuple[float, int | None]] = {}


def amount(db: Session, tenant_id: str, mode: str, currency: str) -> int | None:
    """The mean of the newest payments in this currency, minor units; None where they are too few."""
    key, now = (tenant_id, mode, currency), clock.now().timestamp()
    known = _kept.get(key)
    if known is not None and abs(now - known[0]) < KEEP_SECONDS:
        return known[1]
    newest = (
        select(PaymentIntent.amount, PaymentIntent.currency)
        .where(
            PaymentIntent.tenant_id == tenant_id,
            PaymentIntent.mode == mode,
            PaymentIntent.status == Status.SUCCEEDED,
            PaymentIntent.parent_intent_id.is_(None),
        )
        .order_by(PaymentIntent.created_at.desc(), PaymentIntent.id.desc())
        .limit(LAST)
        .subquery()
    )
    mine = select(func.count(), func.sum(newest.c.amount)).where(newest.c.currency == currency)
    count, total = db.connection().execute(mine).one()
    usual = round(total / count) if count >= MIN_HISTORY else None
    if len(_kept) >= MAX_KEPT:
        _kept.clear()
    _kept[key] = (now, usual)
    return usual
