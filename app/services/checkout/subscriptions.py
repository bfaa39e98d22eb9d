"""Subscriptions as a merchant handles them: read, listed, changed, canceled (docs/adr/0029)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest, InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import subscriptions as lifecycle
from app.kit import clock
from app.kit.pagination import DEFAULT_LIMIT, Page, encode_cursor
from app.models.checkout.subscription import Subscription, SubscriptionPeriod
from app.services.checkout import subscribing
from app.services.operations import paging
from app.services.payments import methods

_S = lifecycle.Status


@dataclass(frozen=True, slots=True)
class Change:
    """What to change; None leaves a thing as it is."""

    payment_method_id: str | None = None
    cancel_at_period_end: bool | None = None
    metadata: Mapping[str, Any] | None = None


def get(actor: Actor, subscription_id: str) -> Subscription:
    """One subscription of this merchant and mode, by its id or its UUID.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _one(db, _named(actor, subscription_id))


def list_page(
    actor: Actor,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
    status: str | None = None,
    customer_id: str | None = None,
) -> Page[Subscription]:
    """Subscriptions of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    if status:
        statement = statement.where(Subscription.status == status)
    if customer_id:
        statement = statement.where(Subscription.customer_id == customer_id)
    return paging.newest_first(statement, Subscription.id, limit=limit, cursor=cursor, page=page)


def periods_of(
    actor: Actor,
    subscription_id: str,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    page: int | None = None,
) -> Page[SubscriptionPeriod]:
    """The periods of a subscription, newest first; see `get`."""
    found = get(actor, subscription_id)
    statement = select(SubscriptionPeriod).where(SubscriptionPeriod.subscription_id == found.id)
    if page is not None:
        newest = statement.order_by(SubscriptionPeriod.number.desc())
        return paging.numbered(newest, limit=limit, page=page, cursor=cursor)
    if cursor:
        last = paging.decoded(cursor)
        if not (last.isascii() and last.isdecimal() and len(last) < 10):
            raise InvalidRequest("Not a cursor of this list", field="cursor")
        statement = statement.where(SubscriptionPeriod.number < int(last))
    with reading() as db:
        rows = list(db.scalars(statement.order_by(SubscriptionPeriod.number.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(str(rows[limit - 1].number)) if len(rows) > limit else None)


def update(actor: Actor, subscription_id: str, change: Change) -> Subscription:
    """Change how a subscription is paid, or whether it ends with its period; what is owed is tried at once.

    One that is past due ends at once, as in `cancel`.

    Raises:
        NotFound: see `get`; or no such method.
        InvalidState: it is canceled.
        Unprocessable: a method that may not be charged later, or another customer's.
    """
    method = methods.usable(actor, change.payment_method_id) if change.payment_method_id else None
    with transaction(actor) as db:
        subscription = _locked(db, actor, subscription_id)
        before = subscription.facts()
        if change.metadata is not None:
            subscription.metadata_ = dict(change.metadata)
        if change.cancel_at_period_end is not None:
            subscription.cancel_at_period_end = change.cancel_at_period_end
            if not change.cancel_at_period_end:
                subscription.cancel_reason = None
        if method is not None:
            if not method.reusable:
                raise methods.consent_required()
            if method.customer_id != subscription.customer_id:
                raise Unprocessable(
                    "This payment method belongs to another customer",
                    code="payment_method_customer_mismatch",
                    field="payment_method_id",
                )
            subscription.payment_method_id = method.id
            _try_now(db, subscription)
        db.flush()
        subscription.note("subscription.updated", cause="api", before=before)
        if change.cancel_at_period_end and subscription.current_period_end <= clock.now():
            subscribing.cancel(db, subscription, "requested", cause="api")
        return subscription


def cancel(
    actor: Actor, subscription_id: str, *, at_period_end: bool, reason: str | None = None
) -> Subscription:
    """End a subscription with its period, or now; nothing that was paid goes back.

    With nothing paid ahead (it is past due) there is no period to wait for, and it ends now.

    Raises:
        NotFound: see `get`.
        InvalidState: it is canceled.
    """
    with transaction(actor) as db:
        subscription = _locked(db, actor, subscription_id)
        why = (reason or "requested")[:40]
        if not at_period_end or subscription.current_period_end <= clock.now():
            subscribing.cancel(db, subscription, why, cause="api")
            return subscription
        before = subscription.facts()
        subscription.cancel_at_period_end, subscription.cancel_reason = True, why
        db.flush()
        subscription.note("subscription.updated", cause="api", before=before)
        return subscription


def renewable(actor: Actor, public_id: str, customer_id: str | None) -> Subscription | None:
    """The subscription that a session may renew for that customer, where there is one."""
    try:
        found = get(actor, public_id)
    except NotFound:
        return None
    foreign = customer_id is not None and found.customer_id not in (None, customer_id)
    return None if foreign or found.status == _S.CANCELED else found


def _try_now(db: Session, subscription: Subscription) -> None:
    period = subscribing.open_period(db, subscription)
    if period is not None:
        period.next_try_at = subscription.next_query_at = clock.now()


def _locked(db: Session, actor: Actor, subscription_id: str) -> Subscription:
    statement = _named(actor, subscription_id).with_for_update()
    found = _one(db, statement.execution_options(populate_existing=True))
    if found.status == _S.CANCELED:
        raise InvalidState("This subscription is canceled")
    return found


def _named(actor: Actor, subscription_id: str) -> Select[Subscription]:
    either = or_(Subscription.id == subscription_id, Subscription.public_id == subscription_id)
    return _mine(actor).where(either)


def _mine(actor: Actor) -> Select[Subscription]:
    return select(Subscription).where(
        Subscription.tenant_id == actor.tenant_id, Subscription.mode == str(actor.mode)
    )


def _one(db: Session, statement: Select[Subscription]) -> Subscription:
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Subscription not found", code="subscription_not_found")
    return found
