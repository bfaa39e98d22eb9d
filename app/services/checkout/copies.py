"""A fresh copy of a session that ended unpaid, where the merchant allows it (ux.md)."""

from __future__ import annotations

from app.db import transaction
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import InvalidState
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.models.checkout.session import CheckoutSession
from app.providers.base import CartSnapshot
from app.services.checkout import link_uses, sessions, simple_sessions, totals
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.hosted import has_lapsed
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings

_LIFETIMES = {"sessions": simple_sessions.LIFETIME_SECONDS, "link": 1800, "merchant": 1800}
_OVER = (lifecycle.Status.CANCELED, lifecycle.Status.FAILED)


def allowed(session: CheckoutSession, profile: TenantProfile) -> bool:
    """Whether the shopper may start over."""
    over = session.status in _OVER or has_lapsed(session)
    return over and checkout_settings(profile).fresh_copies


@consulting
def copy(actor: Actor, checkout_id: str) -> CheckoutSession:
    """The same purchase again, priced afresh.

    Raises:
        InvalidState: it is not over, or the merchant does not allow it.
    """
    old = sessions.get(actor, checkout_id)
    if not allowed(old, actor.tenant):
        raise InvalidState("This checkout cannot be started again")
    draft = SessionDraft(
        surface=old.surface,
        cart=CartSnapshot(old.currency, tuple(totals.lines_of(old))),
        lifetime_seconds=_LIFETIMES.get(old.surface),
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
        payment_link_id=old.payment_link_id,
        product_id=old.product_id,
        price_id=old.price_id,
        subscription_id=old.subscription_id,
    )
    with transaction(actor) as db:
        if old.payment_link_id:
            link_uses.hold(db, old.payment_link_id)
        fresh = sessions.add(db, actor, draft)
        if not (old.shipping_address or old.billing_address or old.contact):
            return fresh
        return _take_over(old, db.get_one(CheckoutSession, fresh.id))


def _take_over(old: CheckoutSession, fresh: CheckoutSession) -> CheckoutSession:
    """What its shopper has typed already; how it is delivered they choose again, at the price of now."""
    fresh.shipping_address, fresh.billing_address = old.shipping_address, old.billing_address
    fresh.contact, fresh.totals_stale = old.contact, True
    return fresh
