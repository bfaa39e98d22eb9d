"""Payment links: a slug that makes a hosted session for each payer (MR-004, MR-005, OP-51)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.domain.errors import Conflict, NotFound
from app.kit import clock
from app.kit.ids import new_id, new_uuid, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.access.tenant import Tenant
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.providers.base import CartLine, CartSnapshot
from app.services.access import tenants
from app.services.checkout import buyers, link_page, link_terms, link_uses, sessions, tries
from app.services.checkout.drafts import SessionDraft
from app.services.checkout.link_page import Asked
from app.services.checkout.link_terms import LinkDraft
from app.services.operations.consulting import consulting
from app.services.operations.paging import newest_first
from app.services.operations.settings import checkout_settings
from app.services.payments import uploads


def create(actor: Actor, draft: LinkDraft) -> PaymentLink:
    """Make a link.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: the slug is taken (slugs are unique over all merchants: the public path has none).
    """
    link_terms.check(actor, draft)
    link = PaymentLink(
        id=new_id("lnk"),
        public_id=new_uuid(),
        tenant_id=actor.tenant_id,
        mode=str(actor.mode),
        slug=draft.slug or random_token(8).lower().replace("_", "x").replace("-", "y"),
        title=draft.title,
        description=draft.description,
        amount=draft.amount,
        min_amount=draft.min_amount,
        max_amount=draft.max_amount,
        presets=list(draft.presets),
        currency=draft.currency,
        reference=draft.reference,
        method_types=list(draft.method_types),
        expires_at=draft.expires_at,
        usage_limit=draft.usage_limit,
        page=dict(draft.page) if draft.page else None,
        created_by=actor.id,
    )
    try:
        with transaction(actor) as db:
            link_page.check(db, actor, draft.page)
            db.add(link)
            db.flush()
            _note(db, link, "payment_link.created")
    except IntegrityError as error:
        raise Conflict("This slug is taken", code="slug_taken") from error
    return link


def get(actor: Actor, name: str) -> PaymentLink:
    """One link of this merchant and mode, by its id, its UUID or its slug.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return _find(db, actor, name)


def _find(db: Session, actor: Actor, name: str, *, lock: bool = False) -> PaymentLink:
    statement = _mine(actor).where(
        or_(PaymentLink.id == name, PaymentLink.slug == name, PaymentLink.public_id == name)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Payment link not found")
    return found


def _mine(actor: Actor) -> Select[PaymentLink]:
    return select(PaymentLink).where(PaymentLink.tenant_id == actor.tenant_id, PaymentLink.mode == actor.mode)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[PaymentLink]:
    """Links of this merchant, newest first.

    Raises:
        InvalidRequest: not a cursor of this list.
    """
    statement = _mine(actor)
    return newest_first(statement, PaymentLink.id, limit=limit, cursor=cursor)


def set_active(actor: Actor, name: str, active: bool) -> PaymentLink:
    """Switch a link on or off, as it may be already; payments that have started go on."""
    with transaction(actor) as db:
        link = _find(db, actor, name, lock=True)
        if link.active != active:
            before = _facts(link)
            link.active = active
            db.flush()
            _note(db, link, "payment_link.activated" if active else "payment_link.deactivated", before)
        return link


def update(actor: Actor, name: str, changes: Mapping[str, Any], *, version: int | None = None) -> PaymentLink:
    """Change what is given of `link_terms.CHANGEABLE`; payments that have started keep what they were shown.

    Raises:
        VersionConflict: it is no longer at `version`.
        InvalidRequest: naming the field that cannot be.
    """
    with transaction(actor) as db:
        link = _find(db, actor, name, lock=True)
        link.expect_version(version)
        before = _facts(link)
        terms = link_terms.changed(actor, link, changes)
        if "page" in changes:
            link_page.check(db, actor, terms.page)
        for field in changes:
            value = getattr(terms, field)
            setattr(link, field, list(value) if isinstance(value, tuple) else value)
        if _facts(link) != before:
            db.flush()
            _note(db, link, "payment_link.updated", before)
        return link


def by_slug(slug: str) -> tuple[PaymentLink, TenantProfile]:
    """The link of a public page, with its merchant.

    Raises:
        NotFound: no such link.
        PermissionDenied: its merchant is suspended.
    """
    statement = (
        select(PaymentLink, Tenant)
        .join(Tenant, Tenant.id == PaymentLink.tenant_id)
        .where(PaymentLink.slug == slug)
    )
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise NotFound("Payment link not found")
    profile = row[1].profile(row[0].mode)
    tenants.refuse_closed_shop(profile)
    return row[0], profile


def slug_of(link_id: str) -> str:
    """The last part of a link's address."""
    with reading() as db:
        return db.get_one(PaymentLink, link_id).slug


def has_expired(link: PaymentLink) -> bool:
    """Whether its time is up."""
    return link.expires_at is not None and link.expires_at <= clock.now()


def is_used_up(link: PaymentLink) -> bool:
    """Whether it has been paid as often as it may be."""
    return link.usage_limit is not None and link.used >= link.usage_limit


def standing(link: PaymentLink) -> str:
    """See `state`, as its page says it: `sold_out` after several uses, `taken` while the last are paid."""
    stands, limit = state(link), link.usage_limit
    if stands == "used_up" and limit is not None and limit > 1:
        return "sold_out"
    full = stands == "payable" and limit is not None and link.used + link.held >= limit
    return "taken" if full else stands


def picture(slug: str) -> tuple[str, bytes]:
    """The picture on a link's page: its type and its bytes.

    Raises:
        NotFound: no such link, or it has none.
    """
    link, profile = by_slug(slug)
    actor = Actor(ActorKind.PUBLIC, "public", profile, Mode(link.mode))
    named = link_page.of(link.page).picture
    if named is None:
        raise NotFound("This link has no picture")
    upload, content = uploads.content(actor, named)
    return upload.content_type, content


def state(link: PaymentLink) -> str:
    """`payable`, or why not: `inactive`, `expired`, `used_up`."""
    if not link.active:
        return "inactive"
    if has_expired(link):
        return "expired"
    return "used_up" if is_used_up(link) else "payable"


def pay(
    slug: str,
    *,
    amount: int | None = None,
    request_id: str = "",
    method_types: tuple[str, ...] = (),
    email: str | None = None,
    asked: Asked | None = None,
    address: str = "",
) -> CheckoutSession:
    """Start a payment over a link: a hosted session of half an hour, holding one use.

    `method_types` narrows the link's own methods; `email` is the payer's, where they gave it, and `asked`
    what they answered to what the link's page asks. Tries of codes are counted by `address`.

    Raises:
        Conflict: `link_not_payable`.
        InvalidRequest: the payer's amount or quantity is outside the bounds, an answer is missing, the link
            takes none of the methods, or the address is none.
        Unprocessable: `promotion_invalid`: the code is not good here or now.
        RateLimited: too many tries of codes.
    """
    link, profile = by_slug(slug)
    asked = asked or Asked()
    if state(link) != "payable":
        raise Conflict("This link cannot be paid", code="link_not_payable", explain={"reason": state(link)})
    actor = Actor(
        ActorKind.PUBLIC, "public", profile, Mode(link.mode), request_id=request_id, address=address
    )
    draft = replace(
        _draft(link, profile, amount, asked),
        customer={"email": buyers.email(actor, email)} if email else {},
        method_types=link_terms.methods(profile, link, method_types),
        promotion_codes=link_page.codes(link_page.of(link.page), asked),
    )
    if draft.promotion_codes:
        return tries.promotion(actor, lambda: _start(actor, draft))
    return _start(actor, draft)


@consulting
def _start(actor: Actor, draft: SessionDraft) -> CheckoutSession:
    """The session of a payer, holding one use; see `pay`."""
    with transaction(actor) as db:
        link_uses.hold(db, draft.payment_link_id or "")
        session = sessions.add(db, actor, draft)
        if session.validation_issues:
            raise link_page.bad_code()
        return session


def _draft(link: PaymentLink, profile: TenantProfile, amount: int | None, asked: Asked) -> SessionDraft:
    """The session of a link as its terms stand, for what a payer chose and answered."""
    page, price = link_page.of(link.page), link_terms.price(link, amount)
    count = link_page.quantity(page, asked.quantity)
    line = CartLine("line_1", f"link:{link.id}", link.title, count, price)
    return SessionDraft(
        surface="link",
        cart=CartSnapshot(link.currency, (line,)),
        lifetime_seconds=checkout_settings(profile).link_ttl_seconds,
        metadata=link_page.metadata(page, asked),
        options={"tax": "included", "allow_coupon_code": page.promotion_codes},
        title=link.title,
        description=link.description or None,
        reference=link.reference,
        hosted=True,
        method_types=tuple(link.method_types),
        payment_link_id=link.id,
    )


def once_more(db: Session, actor: Actor, old: CheckoutSession) -> SessionDraft:
    """What an earlier payment over a link is made from again, at the link's terms of now, holding one use.

    What its payer chose and answered stays. What may be paid with and when the money is taken is as for
    whoever opens the link now.

    Raises:
        Conflict: `link_not_payable`.
        InvalidRequest: the link takes their amount or quantity no more, or asks what they have not answered.
    """
    link = db.get_one(PaymentLink, old.payment_link_id, populate_existing=True)
    line = old.cart_snapshot["lines"][0]
    answers = {name: text for name, text in old.metadata_.items() if isinstance(text, str)}
    chosen = line["unit_price"] if link.amount is None else None
    draft = _draft(link, actor.tenant, chosen, Asked(line["quantity"], answers=answers, campaign=answers))
    link_uses.hold(db, link.id)
    return replace(
        draft,
        customer=old.customer,
        promotion_codes=tuple(old.promotion_codes) if draft.options["allow_coupon_code"] else (),
        metadata={**old.metadata_, **draft.metadata},
        owner=(old.owner_type, old.owner_id),
    )


def count_scan(slug: str) -> None:
    """Count that somebody came by the QR code."""
    with transaction() as db:
        db.execute(
            sql_update(PaymentLink)
            .where(PaymentLink.slug == slug)
            .values(scans=PaymentLink.scans + 1)
            .execution_options(synchronize_session=False)
        )


def _facts(link: PaymentLink) -> dict[str, Any]:
    terms = asdict(link_terms.of(link))
    ends = link.expires_at
    return {
        "id": link.id,
        **terms,
        "presets": list(terms["presets"]),
        "method_types": list(terms["method_types"]),
        "expires_at": clock.to_rfc3339(ends) if ends is not None else None,
        "active": link.active,
    }


def _note(db: Session, link: PaymentLink, type_: str, before: dict[str, Any] | None = None) -> None:
    record(
        db,
        type_,
        tenant_id=link.tenant_id,
        mode=link.mode,
        entity="payment_link",
        entity_id=link.id,
        cause="api",
        before=before,
        after=_facts(link),
    )
