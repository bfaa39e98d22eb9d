"""Renewals: the worker charges each period when it begins, and again where it was declined.

A period is opened once (its number is unique) and its payment is written with it, before any gateway hears
of it; it has one payment that is not over. Whoever comes after a crash finds both, and the sweep of open
payments finds out what became of a call that was not answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from app.db import transaction
from app.domain.actor import Actor, system_actor
from app.domain.errors import Conflict, NotFound, RateLimited, ServiceUnavailable, Unprocessable
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles import subscription_periods as period_lifecycle
from app.domain.lifecycles import subscriptions as lifecycle
from app.kit import clock
from app.kit.failpoints import failpoint
from app.models.access.tenant import Tenant
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.models.payments.intent import PaymentIntent
from app.services.checkout import renewal_flow, subscribing
from app.services.operations import sweeping
from app.services.payments import attempts, intents
from app.services.payments.intents import IntentDraft

_S = lifecycle.Status
_Period = period_lifecycle.Status

#: When one is looked at again whose payment is on its way, or that could not be asked for.
ON_ITS_WAY, AFTER_TROUBLE = timedelta(minutes=1), timedelta(hours=1)

#: Refusals that say nothing about the buyer.
_NOT_THE_BUYERS = frozenset({"no_connector", "tx_limit_exceeded"})


@dataclass(frozen=True, slots=True)
class _Charge:
    """A payment to confirm, and for which period."""

    actor: Actor
    period_id: str
    intent_id: str
    method_id: str
    nonce: str


def renew_due(limit: int = 50) -> int:
    """Look at every subscription whose time has come; returns for how many there was something to do."""
    return sweeping.each(sweeping.claim_due(Subscription, limit), renew)


def renew(subscription_id: str) -> bool:
    """Charge what is owed of a subscription, if it is time; doing it twice charges once."""
    charge = None
    try:
        charge = _prepare(subscription_id)
        if charge is None:
            return False
        failpoint("renewal_written")
        intents.confirm(
            charge.actor,
            charge.intent_id,
            nonce=charge.nonce,
            method_id=charge.method_id,
            off_session=True,
            flow=renewal_flow.FLOW,
        )
    except Conflict:
        return True  # another process is at it, or it is over
    except (RateLimited, ServiceUnavailable):
        _put_off(subscription_id)
    except (NotFound, Unprocessable) as refused:
        if charge is None or refused.code in _NOT_THE_BUYERS:
            _put_off(subscription_id)
        else:
            _refuse(charge, refused.code)
    return True


def _prepare(subscription_id: str) -> _Charge | None:
    """What to charge now, written down; None where there is nothing to do yet."""
    with transaction() as db:
        subscription = subscribing.locked(db, subscription_id)
        profile = db.get_one(Tenant, subscription.tenant_id).profile(subscription.mode)
        if profile.suspended:
            _pass_over(db, subscription)
            return None
        period = _due_period(db, subscription)
        if period is None:
            return None
        if period.refused_method_id == subscription.payment_method_id:
            code = period.last_error or "generic_decline"
            renewal_flow.decline(db, period, code, subscription.payment_method_id, cause="dunning")
            return None
        actor = system_actor(profile, subscription.mode, "subscriptions")
        intent = _intent(db, actor, subscription, period)
        if intent is None:
            subscription.next_query_at = clock.now() + ON_ITS_WAY
            return None
        return _Charge(
            actor, period.id, intent.id, subscription.payment_method_id, f"renewal-{period.tries + 1}"
        )


def _pass_over(db: Session, subscription: Subscription) -> None:
    """Periods that begin while the merchant is suspended pass unpaid: nothing can be given for them."""
    subscription.next_query_at = clock.now() + AFTER_TROUBLE
    if subscription.status != _S.ACTIVE or subscription.open_period_id is not None:
        return
    while subscription.current_period_end <= clock.now():
        number = subscription.periods = subscription.periods + 1
        passed = subscribing.add_period(db, subscription, number, status=str(_Period.OPEN), cause="suspended")
        passed.advance(period_lifecycle.Trigger.VOIDED, cause="suspended", next_try_at=None)
        subscription.current_period_start = passed.starts_at
        subscription.current_period_end = passed.ends_at


def _due_period(db: Session, subscription: Subscription) -> SubscriptionPeriod | None:
    """The period to charge now: the one that is owed, or the next where the last one has ended."""
    now = clock.now()
    if subscription.status == _S.CANCELED:
        subscription.next_query_at = None
        return None
    period = subscribing.open_period(db, subscription)
    if period is not None:
        due_at = period.next_try_at or now
    elif subscription.cancel_at_period_end and subscription.current_period_end <= now:
        subscribing.cancel(db, subscription, subscription.cancel_reason or "requested", cause="period_end")
        return None
    else:
        due_at = subscription.current_period_end
    if due_at > now:
        subscription.next_query_at = due_at
        return None
    if period is None:
        subscription.periods += 1
        number = subscription.periods
        period = subscribing.add_period(db, subscription, number, status=str(_Period.OPEN), cause="renewal")
        subscription.open_period_id = period.id
    return period


def _intent(
    db: Session, actor: Actor, subscription: Subscription, period: SubscriptionPeriod
) -> PaymentIntent | None:
    """The period's payment that is not over, or a new one; None while one is on its way."""
    if period.payment_intent_id is not None:
        present = db.get_one(PaymentIntent, period.payment_intent_id, with_for_update=True)
        if not intent_lifecycle.LIFECYCLE.is_terminal(present.status):
            return None if attempts.live(db, present.id) is not None else present
    draft = IntentDraft(
        period.amount,
        period.currency,
        capture_mode="auto",
        customer_id=subscription.customer_id,
        description=f"{subscription.title} ({period.number})",
        metadata={"subscription_id": subscription.public_id, "period": period.number},
        paid_for=period.id,
    )
    intent = intents.add(db, actor, draft)
    period.payment_intent_id = intent.id
    return intent


def _put_off(subscription_id: str) -> None:
    """It is not the buyer's fault: try again later, without counting it."""
    with transaction() as db:
        subscription = subscribing.locked(db, subscription_id)
        if subscription.status != _S.CANCELED:
            subscription.next_query_at = clock.now() + AFTER_TROUBLE


def _refuse(charge: _Charge, code: str) -> None:
    """The method cannot be charged: no gateway heard of it, and it counts as a try."""
    with transaction(charge.actor) as db:
        period = db.get_one(SubscriptionPeriod, charge.period_id)
        subscribing.locked(db, period.subscription_id)
        period = db.get_one(SubscriptionPeriod, charge.period_id, populate_existing=True)
        if f"renewal-{period.tries + 1}" == charge.nonce:
            renewal_flow.decline(db, period, code, charge.method_id, cause="renewal")
