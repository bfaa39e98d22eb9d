"""What is known of the buyer, and the terms of the session (CK-003, CK-006 to CK-010)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.domain.actor import Actor
from app.domain.errors import Conflict, InvalidRequest, PermissionDenied
from app.kit import clock
from app.models.checkout.session import CheckoutSession
from app.services.checkout import addresses, buyers, reservations, shipping, totals, tries, wallet
from app.services.checkout.editing import edit
from app.services.checkout.intents import edit_due
from app.services.checkout.sessions import MAX_LIFETIME_SECONDS
from app.services.operations.consulting import consulting


@dataclass(frozen=True, slots=True)
class Change:
    """What a PATCH names; None leaves a thing as it is. `ttl_seconds` counts from now."""

    customer: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    ttl_seconds: int | None = None
    expires_at: datetime | None = None
    promotion_codes: tuple[str, ...] | None = None
    version: int | None = None


def change(actor: Actor, checkout_id: str, wanted: Change) -> CheckoutSession:
    """Change a session in part (CK-003). Unknown promotion codes become validation issues (OP-28).

    Raises:
        RateLimited: a shopper tries too many codes.
        VersionConflict: it is no longer at `wanted.version`.
        Conflict: `session_immutable`: the lifetime of this session is fixed.
        InvalidRequest: naming the field that cannot be.
    """
    if wanted.promotion_codes:
        return tries.promotion(actor, lambda: _change(actor, checkout_id, wanted), checkout_id)
    return _change(actor, checkout_id, wanted)


@consulting
def _change(actor: Actor, checkout_id: str, wanted: Change) -> CheckoutSession:
    """See `change`."""
    with edit_due(actor, checkout_id, version=wanted.version) as (db, session):
        if wanted.customer is not None:
            given = _as_far_as_allowed(actor, session, wanted.customer)
            _name(db, actor, session, {**session.customer, **buyers.checked(actor, given)})
        if wanted.metadata is not None:
            session.metadata_ = dict(wanted.metadata)
        until = _until(wanted)
        if until is not None:
            _lengthen(session, until)
        if wanted.promotion_codes is not None:
            session.promotion_codes = _distinct(wanted.promotion_codes)
            totals.calculate(db, session, actor.tenant)
            reservations.rehold_coupons(db, session, actor.tenant)
        return session


def set_customer(
    actor: Actor, checkout_id: str, customer: Mapping[str, Any], *, version: int | None = None
) -> CheckoutSession:
    """Set or replace who buys (CK-006); `save_for_later` is kept as the consent that the vault asks for.

    Raises:
        InvalidRequest: an e-mail address or phone number that cannot be.
        PermissionDenied: a browser's credential names another customer than the merchant's server did.
    """
    with edit_due(actor, checkout_id, version=version) as (db, session):
        _name(db, actor, session, buyers.checked(actor, _as_far_as_allowed(actor, session, customer)))
        if session.customer.get("customer_id"):
            session.owner_type, session.owner_id = "user", session.customer["customer_id"]
        return session


def set_contact(
    actor: Actor, checkout_id: str, contact: Mapping[str, Any], *, version: int | None = None
) -> CheckoutSession:
    """Update where notices go (CK-010)."""
    with edit(actor, checkout_id, version=version) as (_, session):
        session.contact = {**session.contact, **buyers.checked(actor, contact)}
        return session


@consulting
def set_shipping_address(
    actor: Actor, checkout_id: str, address: Mapping[str, Any], *, version: int | None = None
) -> CheckoutSession:
    """Set where the goods go (CK-007): a chosen delivery that is not offered there is dropped.

    Raises:
        Unprocessable: `invalid_address`.
    """
    good = addresses.checked(address)
    with edit(actor, checkout_id, version=version) as (_, session):
        session.shipping_address = good
        session.totals_stale = True
        chosen = session.selected_shipping
        if chosen is not None:
            offered = shipping.offered(actor.tenant, session)
            if chosen["id"] not in {option.shipping_option_id for option in offered}:
                session.selected_shipping = None
        return session


def set_billing_address(
    actor: Actor, checkout_id: str, address: Mapping[str, Any], *, version: int | None = None
) -> CheckoutSession:
    """Set where the bill goes (CK-008); it decides the tax where nothing is shipped.

    Raises:
        Unprocessable: `invalid_address`.
    """
    good = addresses.checked(address)
    with edit(actor, checkout_id, version=version) as (_, session):
        session.billing_address = good
        session.totals_stale = session.totals_stale or session.shipping_address is None
        return session


def _name(db: Session, actor: Actor, session: CheckoutSession, customer: dict[str, Any]) -> None:
    """Say who buys; the credit of whoever it was before pays no more."""
    if customer.get("customer_id") != session.customer.get("customer_id"):
        wallet.release_credit(db, session, cause=str(actor.kind))
    session.customer = customer


def _as_far_as_allowed(actor: Actor, session: CheckoutSession, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Saved methods and store credit hang on `customer_id`, so only the merchant's server may say it."""
    if actor.session_id is None:
        return given
    known = session.customer.get("customer_id")
    if given.get("customer_id", known) != known:
        raise PermissionDenied("Only the merchant's server may say which customer this is")
    return {**given, "customer_id": known}


def _distinct(codes: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(code.strip().upper() for code in codes if code.strip()))


def _until(wanted: Change) -> datetime | None:
    if wanted.ttl_seconds is not None and wanted.expires_at is not None:
        raise InvalidRequest("Send ttl_seconds or expires_at, not both", field="expires_at")
    if wanted.ttl_seconds is not None:
        return clock.now() + timedelta(seconds=wanted.ttl_seconds)
    return wanted.expires_at


def _lengthen(session: CheckoutSession, until: datetime) -> None:
    """Raises Conflict where the surface fixes the lifetime, InvalidRequest beyond 24 h (OP-26)."""
    if session.surface != "checkout":
        raise Conflict("The lifetime of this session is fixed", code="session_immutable")
    if until <= session.expires_at:
        raise InvalidRequest("A session can only be lengthened", field="expires_at")
    if until > session.created_at + timedelta(seconds=MAX_LIFETIME_SECONDS):
        raise InvalidRequest("A session lives at most 24 hours", field="expires_at")
    session.expires_at = until
