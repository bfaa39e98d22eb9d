"""What became of checkouts: how many were begun, bought, abandoned, and at which step (CK-064).

A checkout belongs to the span in which it was begun, an attempt to that in which it was made. Two statements,
each over an index by time: a day's question looks at that day's checkouts, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from app.db import reading
from app.domain.actor import Actor
from app.domain.event_types import EventType
from app.domain.lifecycles.checkout_sessions import Status
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import JournalEntry
from app.models.payments.attempt import Attempt
from app.services.operations import measuring

#: How far a checkout had come, by the last thing that it had got. A checkout without delivery skips one.
STEPS = ("cart", "address", "delivery", "payment")

_S = CheckoutSession
#: Ended without a purchase: canceled, expired, failed for good, or sold and taken back.
_ABANDONED = _S.status.in_((Status.CANCELED, Status.FAILED))
_BOUGHT = _S.status == Status.COMPLETED
_PAID_FOR = _S.payment_attempts > 0
_DELIVERED = or_(_S.selected_shipping.is_not(None), _S.pickup_location.is_not(None))
_ADDRESSED = or_(_S.shipping_address.is_not(None), _S.billing_address.is_not(None))
_REACHED = {
    "cart": and_(~_PAID_FOR, ~_DELIVERED, ~_ADDRESSED),
    "address": and_(~_PAID_FOR, ~_DELIVERED, _ADDRESSED),
    "delivery": and_(~_PAID_FOR, _DELIVERED),
    "payment": _PAID_FOR,
}


@dataclass(frozen=True, slots=True)
class Funnel:
    """Counts, rates from 0 to 1 (None where nothing has ended yet), and mean seconds to a purchase.

    Both rates are of the checkouts that have ended: those that are open are not counted in them yet.
    `abandoned_by_step` says how far those that were abandoned had come.
    """

    since: datetime
    until: datetime
    checkout_initiated: int
    completed: int
    abandoned: int
    payment_attempts: int
    three_ds_challenges: int
    abandon_rate: float | None
    conversion_rate: float | None
    avg_time_to_purchase: int | None
    abandoned_by_step: dict[str, int]

    @property
    def open(self) -> int:
        """Checkouts that have not ended."""
        return self.checkout_initiated - self.completed - self.abandoned


def funnel(actor: Actor, *, since: datetime | None = None, until: datetime | None = None) -> Funnel:
    """The funnel of a span (`until` excluded), by default of the last 30 days.

    Raises:
        InvalidRequest: the span is empty or longer than two years.
    """
    start, end = measuring.span(since, until)
    with reading() as db:
        begun = db.execute(checkouts(db, actor, start, end)).one()
        attempts, challenges = db.execute(payments(actor, start, end)).one()
    completed, abandoned = int(begun.completed), int(begun.abandoned)
    ended = completed + abandoned
    return Funnel(
        since=start,
        until=end,
        checkout_initiated=int(begun.initiated),
        completed=completed,
        abandoned=abandoned,
        payment_attempts=int(attempts),
        three_ds_challenges=int(challenges),
        abandon_rate=round(abandoned / ended, 4) if ended else None,
        conversion_rate=round(completed / ended, 4) if ended else None,
        avg_time_to_purchase=round(begun.seconds) if begun.seconds is not None else None,
        abandoned_by_step={step: int(getattr(begun, step)) for step in STEPS},
    )


def checkouts(db: Session, actor: Actor, since: datetime, until: datetime) -> Select[Any]:
    """What became of the checkouts that were begun in a span; the journal has an index of their births."""
    born = JournalEntry
    took = measuring.seconds(db, _S.created_at, _S.completed_at)
    return (
        select(
            func.count().label("initiated"),
            measuring.times(_BOUGHT, "completed"),
            measuring.times(_ABANDONED, "abandoned"),
            func.avg(took).filter(_BOUGHT).label("seconds"),
            *(measuring.times(_ABANDONED & reached, step) for step, reached in _REACHED.items()),
        )
        .select_from(born)
        .join(_S, _S.id == born.entity_id)
        .where(
            born.tenant_id == actor.tenant_id,
            born.mode == str(actor.mode),
            born.type == EventType.CHECKOUT_CREATED,
            born.created_at >= since,
            born.created_at < until,
        )
    )


def payments(actor: Actor, since: datetime, until: datetime) -> Select[Any]:
    """Attempts to pay a checkout in a span, and how many of them asked for 3-D Secure."""
    challenged = Attempt.action["type"].as_string() == "3ds_challenge"
    return select(func.count(), measuring.times(challenged, "challenged")).where(
        Attempt.tenant_id == actor.tenant_id,
        Attempt.mode == str(actor.mode),
        Attempt.created_at >= since,
        Attempt.created_at < until,
        Attempt.checkout_id.is_not(None),
    )
