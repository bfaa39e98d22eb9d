"""A fresh copy of a session that ended unpaid, where the merchant allows it (ux.md); one of each."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import InvalidState
from app.domain.lifecycles import attempts, intents, wallet_holds
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.models.checkout.session import CheckoutSession
from app.models.checkout.wallet_hold import WalletHold
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.providers.base import CartSnapshot
from app.services.checkout import links, runs, sessions, simple_sessions, totals
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.hosted import has_lapsed
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings

_OVER = (lifecycle.Status.CANCELED, lifecycle.Status.FAILED)
#: A charge in one of these moves no more; what was captured is in its payment's sums.
_RESTING = (*attempts.DEAD, attempts.Status.CAPTURED)


def allowed(session: CheckoutSession, profile: TenantProfile) -> bool:
    """Whether the shopper may start over."""
    with reading() as db:
        return _refusal(db, session, profile) is None


@consulting
def copy(actor: Actor, checkout_id: str) -> CheckoutSession:
    """The same purchase again, priced afresh; asking again gives the same copy, whatever has become of it.

    Raises:
        InvalidState: it is not over, money of it is kept or under way, or the merchant does not allow it.
        Conflict, InvalidRequest: the payment link that it came by takes no such payment any more.
    """
    with transaction(actor) as db:
        old = sessions.find(db, actor, checkout_id, lock=True)
        made = db.scalars(select(CheckoutSession).where(CheckoutSession.copied_from == old.id)).one_or_none()
        if made is not None:
            return made
        refusal = _refusal(db, old, actor.tenant)
        if refusal is not None:
            raise refusal
        sessions.end_lapsed(db, old, actor.tenant)  # what it holds is free for its copy
        draft = links.once_more(db, actor, old) if old.payment_link_id else _draft(actor, old)
        fresh = sessions.add(db, actor, replace(draft, copied_from=old.id))
        if not (old.shipping_address or old.billing_address or old.contact):
            return fresh
        return _take_over(old, db.get_one(CheckoutSession, fresh.id))


def _refusal(db: Session, session: CheckoutSession, profile: TenantProfile) -> InvalidState | None:
    """Why it cannot be started again, if so."""
    over = session.status in _OVER or has_lapsed(session)
    if not over or not checkout_settings(profile).fresh_copies or profile.suspended:
        return InvalidState("This checkout cannot be started again")
    if _holds_money(db, session) or runs.running(db, session) is not None:
        return InvalidState("Money of this checkout is not back yet", code="payment_in_progress")
    return None


def _holds_money(db: Session, session: CheckoutSession) -> bool:
    """Whether anything that was paid for it is kept, or may still be taken."""
    kept = select(PaymentIntent.id).where(
        PaymentIntent.checkout_id == session.id,
        or_(
            PaymentIntent.status.in_(intents.LIVE),
            PaymentIntent.amount_captured > PaymentIntent.amount_refunding,
        ),
    )
    moving = (
        select(Attempt.id)
        .join(PaymentIntent, PaymentIntent.id == Attempt.intent_id)
        .where(PaymentIntent.checkout_id == session.id, Attempt.status.not_in(_RESTING))
    )
    taken = select(WalletHold.id).where(
        WalletHold.checkout_id == session.id, WalletHold.status == wallet_holds.Status.TAKEN
    )
    return any(db.scalar(statement.limit(1)) is not None for statement in (kept, moving, taken))


def _draft(actor: Actor, old: CheckoutSession) -> SessionDraft:
    lifetimes = {
        "sessions": simple_sessions.LIFETIME_SECONDS,
        "merchant": checkout_settings(actor.tenant).link_ttl_seconds,
    }
    return SessionDraft(
        surface=old.surface,
        cart=CartSnapshot(old.currency, tuple(totals.lines_of(old))),
        lifetime_seconds=lifetimes.get(old.surface),
        owner=(old.owner_type, old.owner_id),
        channel=old.channel,
        metadata=old.metadata_,
        options=old.options,
        customer=old.customer,
        promotion_codes=tuple(old.promotion_codes),
        title=old.title,
        description=old.description,
        reference=old.reference,
        success_url=old.success_url,
        cancel_url=old.cancel_url,
        hosted=True,
        method_types=tuple(old.method_types),
        product_id=old.product_id,
        price_id=old.price_id,
        subscription_id=old.subscription_id,
    )


def _take_over(old: CheckoutSession, fresh: CheckoutSession) -> CheckoutSession:
    """What its shopper has typed already; how it is delivered they choose again, at the price of now."""
    fresh.shipping_address, fresh.billing_address = old.shipping_address, old.billing_address
    fresh.contact, fresh.totals_stale = old.contact, True
    return fresh
