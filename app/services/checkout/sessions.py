"""Checkout sessions: create, read, cancel, expire (CK-001 to CK-004, SE-001 to SE-003, MR-001, MR-002).

Four surfaces make sessions; they differ in their drafts only.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from app.db import Lookup, in_transaction, reading, transaction
from app.domain.actor import Actor, TenantProfile
from app.domain.errors import InvalidState, NotFound
from app.domain.event_types import EventType
from app.domain.lifecycles import checkout_sessions as lifecycle
from app.domain.lifecycles import intents as intent_lifecycle
from app.domain.lifecycles.finalizations import Status as RunStatus
from app.kit import clock
from app.kit.ids import new_id, new_uuid, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.access.tenant import Tenant
from app.models.checkout.finalization import Finalization
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.models.insertion import insert_now
from app.models.payments.intent import PaymentIntent
from app.models.reading import Reader
from app.providers.base import CartSnapshot
from app.services.checkout import buyers, drafts, link_uses, reservations, runs, totals, tries, wallet
from app.services.checkout.drafts import SessionDraft
from app.services.operations import sweeping
from app.services.operations.consulting import consulting
from app.services.operations.paging import newest_first
from app.services.operations.settings import CheckoutSettings, checkout_settings
from app.services.payments import parts

_S, _T = lifecycle.Status, lifecycle.Trigger

#: A session may be lengthened up to this age (OP-26).
MAX_LIFETIME_SECONDS = 24 * 3600


def create(actor: Actor, draft: SessionDraft) -> CheckoutSession:
    """Make a session with its totals; see `drafts.resolve_cart` for what is refused.

    Raises:
        RateLimited: a shopper tries too many codes.
    """
    if draft.promotion_codes:
        return tries.promotion(actor, lambda: _create(actor, draft))
    return _create(actor, draft)


@consulting
def _create(actor: Actor, draft: SessionDraft) -> CheckoutSession:
    """See `create`."""
    with transaction(actor) as db:
        return add(db, actor, draft)


def add(db: Session, actor: Actor, draft: SessionDraft) -> CheckoutSession:
    """Make a session in the caller's transaction: the hot path, so it writes each row once."""
    cart = drafts.resolve_cart(actor, draft)
    drafts.check_return_url(actor, draft.success_url, "success_url")
    drafts.check_return_url(actor, draft.cancel_url, "cancel_url")
    drafts.check_customer(actor, draft.customer)
    settings = checkout_settings(actor.tenant)
    inputs, outputs = totals.compute(
        actor.tenant,
        str(actor.mode),
        cart.currency,
        list(cart.lines),
        codes=list(draft.promotion_codes),
        address=None,
        shipping=None,
        taxed=totals.is_taxed(draft.options),
    )
    settings.amounts.check(outputs["totals"]["grand_total"], cart.currency)
    session = _row(actor, draft, cart, settings)
    _store_first_totals(db, session, inputs, outputs)
    return session


def _row(
    actor: Actor, draft: SessionDraft, cart: CartSnapshot, settings: CheckoutSettings
) -> CheckoutSession:
    """The session of a draft, without its totals."""
    owner_type, owner_id = draft.owner or ("guest", new_id("guest"))
    lifetime = draft.lifetime_seconds or settings.session_ttl_seconds
    now = clock.now()
    return CheckoutSession(
        id=new_id("chk"),
        status=str(_S.CREATED),
        public_id=new_uuid(),
        hosted_id=new_hosted_id() if draft.hosted else None,
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        surface=draft.surface,
        currency=cart.currency,
        channel=draft.channel,
        owner_type=owner_type,
        owner_id=owner_id,
        title=draft.title,
        description=draft.description,
        reference=draft.reference,
        cart_id=draft.cart_id,
        cart_snapshot=cart.as_dict(),
        customer=buyers.checked(actor, draft.customer) if draft.surface == "checkout" else draft.customer,
        promotion_codes=list(draft.promotion_codes),
        options={"capture_mode": settings.default_capture_mode, **draft.options},
        method_types=list(draft.method_types),
        success_url=draft.success_url,
        cancel_url=draft.cancel_url,
        payment_link_id=draft.payment_link_id,
        product_id=draft.product_id,
        price_id=draft.price_id,
        subscription_id=draft.subscription_id,
        copied_from=draft.copied_from,
        metadata_=draft.metadata,
        created_by=actor.created_by or actor.id,
        created_at=now,
        expires_at=now + timedelta(seconds=lifetime),
    )


def _store_first_totals(
    db: Session, session: CheckoutSession, inputs: dict[str, Any], outputs: dict[str, Any]
) -> None:
    """The session row is written once, with its totals on it; the calculation refers to it."""
    keep = totals.prepare(session, inputs, outputs)
    insert_now(db, session)
    session.journal_birth(db, cause="api")
    keep(db)


def new_hosted_id() -> str:
    """An unguessable id for the public page."""
    return f"hst_{random_token(18)}"


def get(actor: Actor, checkout_id: str) -> CheckoutSession:
    """One session by its `chk_` id.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    if in_transaction():
        with reading() as db:
            return find(db, actor, checkout_id)
    row = _GET.one({"id": checkout_id, "tenant_id": actor.tenant_id, "mode": str(actor.mode)})
    if row is None or actor.session_id not in (None, checkout_id):
        raise NotFound("Checkout session not found", code="checkout_not_found")
    session: CheckoutSession = _ONE.take(row)[0]
    return session


def get_public(actor: Actor, public_id: str) -> CheckoutSession:
    """One session by the UUID of the merchant and sessions surfaces.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = _mine(actor).where(CheckoutSession.public_id == public_id)
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Checkout session not found", code="checkout_not_found")
    return found


def find(db: Session, actor: Actor, checkout_id: str, *, lock: bool = False) -> CheckoutSession:
    """See `get`; in the caller's transaction, locked when asked."""
    statement = _mine(actor).where(CheckoutSession.id == checkout_id)
    found = db.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NotFound("Checkout session not found", code="checkout_not_found")
    return found


#: Made once, like the next one: a session is looked up with it on every call of its own.
_ONE = Reader(CheckoutSession)
_GET = Lookup(
    select(*_ONE.columns).where(
        CheckoutSession.id == bindparam("id"),
        CheckoutSession.tenant_id == bindparam("tenant_id"),
        CheckoutSession.mode == bindparam("mode"),
    )
)

#: The session of a hosted page with its merchant and payment.


def list_page(
    actor: Actor, *, surface: str | None = None, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[CheckoutSession]:
    """Sessions of this merchant, newest first."""
    statement = _mine(actor)
    if surface:
        statement = statement.where(CheckoutSession.surface == surface)
    return newest_first(statement, CheckoutSession.id, limit=limit, cursor=cursor)


def list_by_offset(
    actor: Actor, *, surfaces: tuple[str, ...], words: str | None, limit: int, offset: int
) -> list[CheckoutSession]:
    """Sessions as the sessions surface pages them; `words` is open, complete or expired."""
    now = clock.now()
    paid = CheckoutSession.status == _S.COMPLETED
    paying = CheckoutSession.status == _S.PAYMENT_PROCESSING
    over = (CheckoutSession.status == _S.CANCELED) | ((CheckoutSession.expires_at <= now) & ~paid & ~paying)
    statement = _mine(actor).where(CheckoutSession.surface.in_(surfaces))
    match words:
        case "complete":
            statement = statement.where(paid)
        case "expired":
            statement = statement.where(over)
        case "open":
            statement = statement.where(~paid & ~over)
    statement = statement.order_by(CheckoutSession.id.desc()).limit(limit).offset(offset)
    with reading() as db:
        return list(db.scalars(statement))


def touch(session: CheckoutSession, *, cause: str) -> None:
    """Note an edit: a fresh session is collecting from now on; others refuse when they are over.

    Raises:
        InvalidState: it is paid, being paid, or over.
    """
    refuse_closed(session)
    if session.status == _S.CREATED:
        session.advance(_T.EDITED, cause=cause)


def refuse_closed(session: CheckoutSession) -> None:
    """Raises InvalidState where a session may no longer be changed, or its time is up."""
    if session.status not in lifecycle.OPEN:
        raise InvalidState(f"A checkout that is {session.status} cannot be changed")
    if session.expires_at <= clock.now():
        raise InvalidState("This checkout has expired", code="checkout_expired")


def cancel(
    actor: Actor, checkout_id: str, *, release_inventory: bool = True, cause: str = "api"
) -> CheckoutSession:
    """Abort a session that is not being paid; canceling it again changes nothing.

    Without `release_inventory` its hold lasts until the hold's own time is up.

    Raises:
        InvalidState: it is completed, or being completed, or a payment is under way; `payment_not_returned`,
            it failed and keeps its payment.
    """
    with transaction(actor) as db:
        session = find(db, actor, checkout_id, lock=True)
        if session.status == _S.CANCELED:
            if release_inventory:
                reservations.release(db, session, actor.tenant, cause=cause)
            return session
        if session.status == _S.PAYMENT_PROCESSING:
            raise InvalidState("A payment is under way; cancel it first", code="payment_in_progress")
        if runs.running(db, session) is not None:  # by hand, after it had failed
            raise InvalidState("The checkout is being finalised")
        if session.status == _S.FAILED and keeps_payment(session):
            raise InvalidState(
                "Its payment has not gone back yet: refund it, roll it back, or complete it by hand",
                code="payment_not_returned",
                explain={"reason": "payment_not_returned", "payment_intent_id": session.payment_intent_id},
            )
        _end(db, session, actor.tenant, reason="requested", cause=cause, keep_hold=not release_inventory)
        return session


def keeps_payment(session: CheckoutSession) -> bool:
    """Whether a session has money of its payment, taken or held, that nothing gives back yet."""
    with reading() as db:
        run = db.get(Finalization, session.finalization_id) if session.finalization_id else None
        if session.payment_intent_id is None or (run is not None and run.status == RunStatus.UNDOING):
            return False
        intent = db.get_one(PaymentIntent, session.payment_intent_id, populate_existing=True)
    taken = intent.amount_captured - intent.amount_refunding - intent.amount_disputed
    return taken > 0 or intent.status in intent_lifecycle.LIVE


def expire_due(limit: int = 100) -> int:
    """End sessions whose time is up; one that is being paid gets its outcome first (OP-26)."""
    statement = (
        select(CheckoutSession.id)
        .where(CheckoutSession.status.in_(lifecycle.OPEN), CheckoutSession.expires_at <= clock.now())
        .order_by(CheckoutSession.expires_at)
        .limit(limit)
    )
    with reading() as db:
        due = list(db.scalars(statement))
    return sweeping.each(due, _expire)


def expire_now(actor: Actor, checkout_id: str) -> CheckoutSession:
    """End the time of a session at once; the sandbox panel does it.

    Raises:
        InvalidState: it is over, or being paid.
    """
    with transaction(actor) as db:
        session = find(db, actor, checkout_id, lock=True)
        refuse_closed(session)
        session.expires_at = clock.now()
        _end(db, session, actor.tenant, reason="expired", cause=str(actor.kind))
        return session


def _expire(checkout_id: str) -> bool:
    with transaction() as db:
        session = db.get_one(CheckoutSession, checkout_id, with_for_update=True)
        return end_lapsed(db, session, db.get_one(Tenant, session.tenant_id).profile(session.mode))


def end_lapsed(db: Session, session: CheckoutSession, profile: TenantProfile) -> bool:
    """End a locked session whose time is up, in the caller's transaction; False where it is not."""
    if session.status not in lifecycle.OPEN or session.expires_at > clock.now():
        return False
    _end(db, session, profile, reason="expired", cause="expiry")
    return True


def _end(
    db: Session,
    session: CheckoutSession,
    profile: TenantProfile,
    *,
    reason: str,
    cause: str,
    keep_hold: bool = False,
) -> None:
    was_open, before = session.status in lifecycle.OPEN, session.facts()
    session.advance(_T.CANCELED, cause=cause, cancel_reason=reason)
    if not keep_hold:
        reservations.release(db, session, profile, cause=cause)
    if was_open:  # a failed session has given its use of a link back already
        link_uses.release(db, session)
    wallet.release(db, session, cause=cause)
    intent = db.get(PaymentIntent, session.payment_intent_id) if session.payment_intent_id else None
    if intent is not None and intent.lifecycle.allows(intent.status, "canceled"):
        why = "timeout" if reason == "expired" else "user_cancel"
        parts.drop(db, intent, cause=cause, reason=why)
        intent.advance("canceled", cause=cause, cancel_reason=why)
    if reason == "expired":
        record(
            db,
            EventType.CHECKOUT_SESSION_EXPIRED,
            tenant_id=session.tenant_id,
            mode=session.mode,
            entity="checkout",
            entity_id=session.id,
            cause=cause,
            before=before,
            after=session.facts(),
            **session.journal_links(),
        )


def _mine(actor: Actor) -> Select[CheckoutSession]:
    statement = select(CheckoutSession).where(
        CheckoutSession.tenant_id == actor.tenant_id, CheckoutSession.mode == actor.mode
    )
    if actor.session_id is not None:
        statement = statement.where(CheckoutSession.id == actor.session_id)
    return statement
