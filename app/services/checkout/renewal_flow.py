"""What hangs on the payment of a period: its subscription goes on, or is asked for again (dunning)."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.lifecycles import attempts as attempt_lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import subscription_periods as period_lifecycle
from app.domain.lifecycles import subscriptions as lifecycle
from app.domain.rules import periods
from app.kit import clock
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.services.checkout import subscribing
from app.services.operations import jobs
from app.services.payments import settling
from app.services.payments.attempts import Flow

_T = lifecycle.Trigger
_Period, _Moved = period_lifecycle.Status, period_lifecycle.Trigger
_Intent = intent_lifecycle.Status

#: A payment that has ended, or waits for another try.
_DECLINED = frozenset({_Intent.REQUIRES_PAYMENT_METHOD, _Intent.FAILED, _Intent.CANCELED})


def _lock(db: Session, attempt: Attempt) -> None:
    """The subscription comes first in the house's lock order."""
    of = (
        select(SubscriptionPeriod.subscription_id)
        .join(PaymentIntent, PaymentIntent.paid_for == SubscriptionPeriod.id)
        .where(PaymentIntent.id == attempt.intent_id)
    )
    db.execute(select(Subscription.id).where(Subscription.id == of.scalar_subquery()).with_for_update())


def _follow(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    if attempt.status == attempt_lifecycle.Status.CAPTURED:
        if not intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
            _pay(db, intent, attempt, cause)
    elif intent.status in _DECLINED:
        period = db.get_one(SubscriptionPeriod, intent.paid_for, populate_existing=True)
        if period.payment_intent_id == intent.id:
            code = attempt.decline_code or "gateway_unavailable"
            decline(db, period, code, attempt.payment_method_id, cause=cause)


def _settle(attempt: Attempt, cause: str) -> None:
    with transaction() as db:
        _lock(db, attempt)
        intent = db.get_one(PaymentIntent, attempt.intent_id, with_for_update=True)
        fresh = db.get_one(Attempt, attempt.id, with_for_update=True)
        if not intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
            _pay(db, intent, fresh, cause)


def _pay(db: Session, intent: PaymentIntent, attempt: Attempt, cause: str) -> None:
    """The money is there: the period is paid; where that is no longer wanted it goes back."""
    settling.settle(db, intent, attempt, cause)
    period = db.get_one(SubscriptionPeriod, intent.paid_for, populate_existing=True)
    if period.status != _Period.OPEN:
        jobs.enqueue(
            db,
            "refunds.give_back_canceled",
            {"intent_id": intent.id},
            tenant_id=intent.tenant_id,
            mode=intent.mode,
            unique_key=f"refunds.give_back_canceled:{intent.id}",
        )
    elif intent.cancel_requested:  # settling gives it back
        decline(db, period, "canceled", attempt.payment_method_id, cause=cause)
    else:
        subscription = subscribing.locked(db, period.subscription_id)
        period.advance(_Moved.PAID, cause=cause, next_try_at=None, paid_at=clock.now())
        subscribing.go_on(subscription, period, cause=cause)


def decline(db: Session, period: SubscriptionPeriod, code: str, method_id: str, *, cause: str) -> None:
    """A try to charge a period came to nothing: it is tried again later, or the subscription ends.

    In the caller's transaction, which has the subscription's lock. A method that was declined for good is
    not asked again.
    """
    if period.status != _Period.OPEN:
        return
    subscription = subscribing.locked(db, period.subscription_id)
    period.tries += 1
    period.last_error = code[:48]
    if code in periods.FINAL_DECLINES:
        period.refused_method_id = method_id
    delay = periods.dunning_delay(period.tries)
    if delay is None:
        period.advance(_Moved.GIVEN_UP, cause=cause, next_try_at=None)
        subscribing.cancel(db, subscription, "unpaid", cause=cause)
        return
    period.next_try_at = clock.now() + delay
    subscription.advance(_T.DECLINED, cause=cause, next_query_at=period.next_try_at)


#: The flow of a payment for a period.
FLOW = Flow(_lock, _follow, _settle, at_once=True)
