"""What a gateway says of a charge's refunds without naming one of ours (Stripe's `charge.refunded`)."""

from __future__ import annotations

from sqlalchemy import select

from app.db import reading
from app.domain.lifecycles.refunds import Status
from app.models.payments.attempt import Attempt
from app.models.payments.refund import Refund
from app.services.payments import foreign_refunds, refunds


def look_again(attempt_id: str) -> None:
    """Ask about a charge's refunds that are on their way, and for those that its gateway made without us.

    The job `refunds.look_again`.
    """
    with reading() as db:
        mine = Refund.intent_id == db.get_one(Attempt, attempt_id).intent_id
        due = db.scalars(
            select(Refund.id).where(
                mine, Refund.attempt_id == attempt_id, Refund.status == str(Status.PROCESSING)
            )
        ).all()
    for refund_id in due:
        refunds.send(refund_id)
    foreign_refunds.take_in(attempt_id)
