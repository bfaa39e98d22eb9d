"""Hosted pages: opening one for a session, and what may be changed on it (CK-054 to CK-056, OP-46)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from app import settings
from app.db import Lookup, transaction
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import Conflict, InvalidRequest, InvalidState, NotFound, Unprocessable
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.kit import clock
from app.models.access.tenant import Tenant
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.reading import Reader
from app.providers.base import MAX_QUANTITY, CartLine, CartSnapshot
from app.services.access import tenants, tokens
from app.services.checkout import drafts, reservations, sessions, totals, tries
from app.services.checkout.editing import edit
from app.services.operations.consulting import consulting

#: How much longer a page is open when its shopper asks for it.
EXTENSION_SECONDS = 1800
#: Made once: each look at a page is this statement.
_PAGE = Reader(CheckoutSession, Tenant, PaymentIntent)
_HOSTED = Lookup(
    select(*_PAGE.columns)
    .select_from(CheckoutSession)
    .join(Tenant, Tenant.id == CheckoutSession.tenant_id)
    .outerjoin(PaymentIntent, PaymentIntent.id == CheckoutSession.payment_intent_id)
    .where(CheckoutSession.hosted_id == bindparam("hosted_id"))
)


def find(hosted_id: str) -> tuple[CheckoutSession, TenantProfile, PaymentIntent | None]:
    """The session behind a hosted page, with its merchant and payment, in one statement.

    Raises:
        NotFound: no such page.
        PermissionDenied: its merchant is suspended.
    """
    row = _HOSTED.one({"hosted_id": hosted_id})
    if row is None:
        raise NotFound("There is no such checkout page", code="checkout_not_found")
    session, tenant, intent = _PAGE.take(row)
    profile = tenant.profile(session.mode)
    if session.status in lifecycle.OPEN:  # who has paid, or is paying, sees how it went
        tenants.refuse_closed_shop(profile)
    return session, profile, intent


def url_of(session: CheckoutSession) -> str:
    """Where the session's page is."""
    return f"{settings.current().base_url}/pay/{session.hosted_id}"


def qr_url_of(session: CheckoutSession) -> str:
    """Where the QR code of the session's page is, for a payer with another device."""
    return f"{url_of(session)}/qr.png"


def find_public(actor: Actor, public_id: str) -> CheckoutSession | None:
    """A session with a page, by the UUID of the merchant and sessions surfaces: others are not theirs."""
    try:
        session = sessions.get_public(actor, public_id)
    except NotFound:
        return None
    return session if session.hosted_id is not None else None


def open_page(actor: Actor, checkout_id: str) -> CheckoutSession:
    """Give a session its hosted page; asking again gives the same one.

    Raises:
        InvalidState: the session is over.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        if session.status not in (*lifecycle.OPEN, lifecycle.Status.PAYMENT_PROCESSING):
            raise InvalidState(f"A checkout that is {session.status} has no page to pay on")
        if session.hosted_id is None:
            session.hosted_id = sessions.new_hosted_id()
        return session


def embed_token(actor: Actor, checkout_id: str) -> tuple[str, datetime]:
    """A short-lived token for a frame that shows the session, and its end (CK-055).

    Raises:
        NotFound: there is none, or it is another merchant's.
        InvalidState: the session is over.
    """
    session = sessions.get(actor, checkout_id)
    if session.status not in (*lifecycle.OPEN, lifecycle.Status.PAYMENT_PROCESSING):
        raise InvalidState(f"A checkout that is {session.status} cannot be embedded")
    if session.expires_at <= clock.now():
        raise InvalidState("This checkout has expired", code="checkout_expired")
    return tokens.embed_token(actor, session)


def has_lapsed(session: CheckoutSession, now: datetime | None = None) -> bool:
    """Whether its time is up, also where the sweep has not come by yet."""
    over = session.expires_at <= (now or clock.now())
    return over and session.status in lifecycle.OPEN


def apply_coupon(actor: Actor, checkout_id: str, code: str) -> CheckoutSession:
    """Add a coupon on the page; an invalid one changes nothing (OP-65). A shopper's wrong ones are counted.

    Raises:
        RateLimited: too many tries.
        Unprocessable: the code is not good now.
        InvalidState: coupons are not allowed here, or the session is over.
    """
    return tries.promotion(actor, lambda: _apply_coupon(actor, checkout_id, code), checkout_id)


@consulting
def _apply_coupon(actor: Actor, checkout_id: str, code: str) -> CheckoutSession:
    """See `apply_coupon`."""
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        if not session.options.get("allow_coupon_code"):
            raise InvalidState("This checkout takes no promotion codes")
        sessions.touch(session, cause="shopper")
        wanted = code.strip().upper()
        session.promotion_codes = list(dict.fromkeys([*session.promotion_codes, wanted]))
        outputs = totals.calculate(db, session, actor.tenant)
        if any(issue["explain"]["promotion_code"] == wanted for issue in outputs["issues"]):
            raise Unprocessable("This code isn't valid", code="promotion_invalid", field="coupon")
        reservations.rehold_coupons(db, session, actor.tenant)
        return session


@consulting
def remove_coupon(actor: Actor, checkout_id: str, code: str) -> CheckoutSession:
    """Take a coupon off again on the page; one that is not there is gone already.

    Raises:
        InvalidState: coupons are not allowed here, or the session is over.
    """
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        if not session.options.get("allow_coupon_code"):
            raise InvalidState("This checkout takes no promotion codes")
        sessions.touch(session, cause="shopper")
        gone = code.strip().upper()
        session.promotion_codes = [kept for kept in session.promotion_codes if kept.upper() != gone]
        totals.calculate(db, session, actor.tenant)
        reservations.rehold_coupons(db, session, actor.tenant)
        return session


def can_extend(session: CheckoutSession) -> bool:
    """Whether its shopper may still ask for more time: once, and only where the surface allows it (OP-26)."""
    limit = session.created_at + timedelta(seconds=sessions.MAX_LIFETIME_SECONDS)
    open_ = session.status in lifecycle.OPEN and not has_lapsed(session)
    return open_ and session.surface == "checkout" and not session.extended_at and session.expires_at < limit


def extend(actor: Actor, checkout_id: str) -> CheckoutSession:
    """Give the shopper more time, once (WCAG 2.2.1); never beyond the age that a session may have.

    Raises:
        Conflict: `session_immutable`: the lifetime of this session is fixed.
        InvalidState: it was extended before, or is over.
    """
    with edit(actor, checkout_id) as (_, session):
        if session.surface != "checkout":
            raise Conflict("The lifetime of this session is fixed", code="session_immutable")
        if not can_extend(session):
            raise InvalidState("This checkout cannot be open any longer", code="extension_used")
        longest = session.created_at + timedelta(seconds=sessions.MAX_LIFETIME_SECONDS)
        session.expires_at = min(session.expires_at + timedelta(seconds=EXTENSION_SECONDS), longest)
        session.extended_at = clock.now()
        return session


@consulting
def change_quantity(actor: Actor, checkout_id: str, quantity: int) -> CheckoutSession:
    """Let the shopper buy more or fewer of the one thing on the page.

    Raises:
        InvalidRequest: not a quantity.
        InvalidState: the quantity is fixed, or the session is over.
    """
    if not 0 < quantity <= MAX_QUANTITY:
        raise InvalidRequest("Enter a quantity of 1 or more", field="quantity")
    with transaction(actor) as db:
        session = sessions.find(db, actor, checkout_id, lock=True)
        lines: list[dict[str, Any]] = session.cart_snapshot["lines"]
        if not session.options.get("allow_quantity") or len(lines) != 1:
            raise InvalidState("The quantity is fixed")
        sessions.touch(session, cause="shopper")
        reservations.let_go(db, session, actor.tenant, cause="quantity changed")
        session.shipment_plan_id = None
        wanted = CartSnapshot(session.currency, (CartLine(**{**lines[0], "quantity": quantity}),))
        session.cart_snapshot = drafts.priced(actor, session.surface, wanted).as_dict()
        totals.calculate(db, session, actor.tenant)
        return session
