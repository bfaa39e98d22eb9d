"""What a sale does to subscriptions: it begins one, or pays the period of one (decisions.md 12).

Everything here works inside the transaction that completes the session, which has its lock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import subscription_periods as period_lifecycle
from app.domain.lifecycles import subscriptions as lifecycle
from app.domain.rules import periods
from app.kit import clock
from app.kit.ids import new_id, new_uuid
from app.models.checkout.session import CheckoutSession
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.checkout import wallet
from app.services.operations import jobs
from app.services.payments import attempts, settling

_S, _T = lifecycle.Status, lifecycle.Trigger
_Period, _Moved = period_lifecycle.Status, period_lifecycle.Trigger

#: Keys of a session's options: what is bought again (`interval`, `interval_count`), and the subscription
#: whose next period is bought.
RECURRING, RENEWS = "recurring", "renews"


def follow_sale(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """A session is completed: the subscription that it bought begins, or the one that it renews goes on."""
    renews, recurring = session.options.get(RENEWS), session.options.get(RECURRING)
    if not (renews or recurring):
        return
    intent = db.get(PaymentIntent, session.payment_intent_id) if session.payment_intent_id else None
    if renews:
        _renew(db, session, intent, cause)
    elif intent is not None:
        _begin(db, session, intent, cause)


def undo_sale(db: Session, session: CheckoutSession, *, cause: str) -> None:
    """A sale is rolled back: what it began is canceled."""
    if not session.options.get(RECURRING):
        return
    began = select(Subscription).where(Subscription.checkout_id == session.id).with_for_update()
    found = db.scalars(began).one_or_none()
    if found is not None and found.status != _S.CANCELED:
        cancel(db, found, "rolled_back", cause=cause)


def locked(db: Session, subscription_id: str) -> Subscription:
    """A subscription under lock, as it is now."""
    statement = select(Subscription).where(Subscription.id == subscription_id).with_for_update()
    return db.scalars(statement.execution_options(populate_existing=True)).one()


def open_period(db: Session, subscription: Subscription) -> SubscriptionPeriod | None:
    """The period that is owed."""
    if subscription.open_period_id is None:
        return None
    return db.get_one(SubscriptionPeriod, subscription.open_period_id, populate_existing=True)


def add_period(
    db: Session, subscription: Subscription, number: int, *, status: str, cause: str, **facts: Any
) -> SubscriptionPeriod:
    """The period of that number, open or bought; a second one of a number is an integrity error."""

    def start(number: int) -> Any:
        return periods.start_of(
            subscription.anchor_at, subscription.interval, subscription.interval_count, number
        )

    period = SubscriptionPeriod(
        id=new_id("per"),
        tenant_id=subscription.tenant_id,
        mode=subscription.mode,
        subscription_id=subscription.id,
        number=number,
        starts_at=start(number),
        ends_at=start(number + 1),
        amount=subscription.amount,
        currency=subscription.currency,
        status=status,
        **facts,
    )
    db.add(period)
    period.begin(cause=cause)
    return period


def go_on(subscription: Subscription, period: SubscriptionPeriod, *, cause: str) -> None:
    """A period is paid: the subscription runs to its end, where it does not run longer already."""
    if subscription.open_period_id == period.id:
        subscription.open_period_id = None
    later = period.ends_at > subscription.current_period_end
    subscription.advance(
        _T.RENEWED,
        cause=cause,
        current_period_start=period.starts_at if later else subscription.current_period_start,
        current_period_end=period.ends_at if later else subscription.current_period_end,
        next_query_at=period.ends_at if subscription.open_period_id is None else clock.now(),
    )


def cancel(db: Session, subscription: Subscription, reason: str, *, cause: str) -> None:
    """End a locked subscription now. What is on its way for its open period is undone when it comes."""
    period = open_period(db, subscription)
    if period is not None:
        drop_payment(db, period, cause=cause)
        if period.status == _Period.OPEN:
            period.advance(_Moved.VOIDED, cause=cause, next_try_at=None)
    subscription.advance(
        _T.CANCELED,
        cause=cause,
        cancel_reason=reason,
        canceled_at=clock.now(),
        next_query_at=None,
        open_period_id=None,
    )


def drop_payment(db: Session, period: SubscriptionPeriod, *, cause: str) -> None:
    """No payment for this period is to stand: one that was not sent is canceled, another undone later."""
    if period.payment_intent_id is None:
        return
    intent = db.get_one(PaymentIntent, period.payment_intent_id, with_for_update=True)
    if intent_lifecycle.LIFECYCLE.is_terminal(intent.status):
        return
    if attempts.live(db, intent.id) is not None:
        settling.request_cancel(db, intent, "user_cancel")
    else:
        intent.advance(intent_lifecycle.Trigger.CANCELED, cause=cause, cancel_reason="user_cancel")


def _begin(db: Session, session: CheckoutSession, intent: PaymentIntent, cause: str) -> None:
    """With a method that the buyer left for later charges; without their consent it was sold once."""
    method = db.get(PaymentMethod, intent.payment_method_id) if intent.payment_method_id else None
    known = db.scalar(select(Subscription.id).where(Subscription.checkout_id == session.id))
    if method is None or not method.reusable or known is not None:
        return
    plan, line, now = session.options[RECURRING], session.cart_snapshot["lines"][0], clock.now()
    ends_at = periods.start_of(now, plan["interval"], plan["interval_count"], 2)
    subscription = Subscription(
        id=new_id("sub"),
        public_id=new_uuid(),
        tenant_id=session.tenant_id,
        mode=session.mode,
        checkout_id=session.id,
        customer_id=method.customer_id,
        customer=session.customer,
        price_id=session.price_id,
        title=line["name"],
        quantity=line["quantity"],
        unit_amount=line["unit_price"],
        currency=session.currency,
        interval=plan["interval"],
        interval_count=plan["interval_count"],
        anchor_at=now,
        current_period_start=now,
        current_period_end=ends_at,
        payment_method_id=method.id,
        next_query_at=ends_at,
        metadata_=session.metadata_,
    )
    db.add(subscription)
    subscription.begin(cause=cause)
    session.subscription_id = subscription.public_id
    add_period(db, subscription, 1, status=str(_Period.PAID), cause=cause, **_bought_by(session, intent))


def _renew(db: Session, session: CheckoutSession, intent: PaymentIntent | None, cause: str) -> None:
    """The sale pays the period that is owed; where none is, or its own payment is on its way, the next."""
    subscription = locked(db, session.options[RENEWS])
    if subscription.status == _S.CANCELED:
        wallet.undo(db, session, cause=cause)
        if intent is not None:
            _give_back(db, intent)
        return
    period = open_period(db, subscription)
    if period is not None and _is_on_its_way(db, period):
        period = None
    if period is None:
        subscription.periods += 1
        bought = _bought_by(session, intent)
        period = add_period(
            db, subscription, subscription.periods, status=str(_Period.PAID), cause=cause, **bought
        )
    else:
        drop_payment(db, period, cause=cause)
        period.advance(_Moved.PAID, cause=cause, next_try_at=None, **_bought_by(session, intent))
    method = db.get(PaymentMethod, intent.payment_method_id) if intent and intent.payment_method_id else None
    if method is not None and method.reusable and method.customer_id == subscription.customer_id:
        subscription.payment_method_id = method.id
    go_on(subscription, period, cause=cause)


def _is_on_its_way(db: Session, period: SubscriptionPeriod) -> bool:
    if period.payment_intent_id is None:
        return False
    intent = db.get_one(PaymentIntent, period.payment_intent_id, with_for_update=True)
    over = intent_lifecycle.LIFECYCLE.is_terminal(intent.status)
    return not over and attempts.live(db, intent.id) is not None


def _bought_by(session: CheckoutSession, intent: PaymentIntent | None) -> dict[str, Any]:
    return {
        "checkout_id": session.id,
        "payment_intent_id": intent.id if intent is not None else None,
        "paid_at": clock.now(),
    }


def _give_back(db: Session, intent: PaymentIntent) -> None:
    """What was paid for nothing goes back by a job."""
    jobs.enqueue(
        db,
        "refunds.give_back_canceled",
        {"intent_id": intent.id},
        tenant_id=intent.tenant_id,
        mode=intent.mode,
        unique_key=f"refunds.give_back_canceled:{intent.id}",
    )
