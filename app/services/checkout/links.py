"""Payment links: a slug that makes a hosted session for each payer (MR-004, MR-005, OP-51)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain import money
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.domain.errors import Conflict, InvalidRequest, NotFound
from app.kit import clock
from app.kit.ids import new_id, new_uuid, random_token
from app.kit.pagination import DEFAULT_LIMIT, Page, decode_cursor, encode_cursor
from app.models.access.tenant import Tenant
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.session import CheckoutSession
from app.models.events.journal import record
from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import link_uses, sessions
from app.services.checkout.drafts import SessionDraft
from app.services.operations.consulting import consulting
from app.services.operations.settings import checkout_settings

_SLUG = re.compile(r"^[a-z0-9](?:[a-z0-9-]{1,62}[a-z0-9])$")


@dataclass(frozen=True, slots=True)
class LinkDraft:
    """What a link is made from; without `amount` the payer chooses between the bounds."""

    title: str
    currency: str
    slug: str | None = None
    description: str = ""
    amount: int | None = None
    min_amount: int | None = None
    max_amount: int | None = None
    reference: str | None = None
    expires_at: datetime | None = None
    usage_limit: int | None = None
    method_types: tuple[str, ...] = ("card",)


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What is to change of a link; None leaves a thing as it is."""

    title: str | None = None
    description: str | None = None
    expires_at: datetime | None = None
    usage_limit: int | None = None
    version: int | None = None


def create(actor: Actor, draft: LinkDraft) -> PaymentLink:
    """Make a link.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: the slug is taken (slugs are unique over all merchants: the public path has none).
    """
    _check(draft)
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
        currency=draft.currency,
        reference=draft.reference,
        method_types=list(draft.method_types),
        expires_at=draft.expires_at,
        usage_limit=draft.usage_limit,
        created_by=actor.id,
    )
    try:
        with transaction(actor) as db:
            db.add(link)
            db.flush()
            _note(db, link, "payment_link.created")
    except IntegrityError as error:
        raise Conflict("This slug is taken", code="slug_taken") from error
    return link


def _check(draft: LinkDraft) -> None:
    if draft.slug is not None and not _SLUG.match(draft.slug):
        raise InvalidRequest(
            "Use 3 to 64 lower-case letters, digits and hyphens", field="slug", code="invalid_slug"
        )
    if not draft.title.strip():
        raise InvalidRequest("Enter a title", field="title")
    if not money.is_currency(draft.currency):
        raise InvalidRequest("This currency is not supported", field="currency")
    for name in ("amount", "min_amount", "max_amount"):
        value = getattr(draft, name)
        if value is not None and not 0 < value <= money.MAX_AMOUNT:
            raise InvalidRequest("Valid amount is required", code="invalid_amount", field=name)
    if draft.min_amount and draft.max_amount and draft.min_amount > draft.max_amount:
        raise InvalidRequest("The smallest amount is above the largest", field="max_amount")
    if draft.usage_limit is not None and draft.usage_limit < 1:
        raise InvalidRequest("A limit is at least 1", field="usage_limit")
    if draft.expires_at is not None and draft.expires_at <= clock.now():
        raise InvalidRequest("Choose a time in the future", field="expires_at")


def get(actor: Actor, link_id: str) -> PaymentLink:
    """One link of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    statement = select(PaymentLink).where(
        PaymentLink.id == link_id,
        PaymentLink.tenant_id == actor.tenant_id,
        PaymentLink.mode == actor.mode,
    )
    with reading() as db:
        found = db.scalars(statement).one_or_none()
    if found is None:
        raise NotFound("Payment link not found")
    return found


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[PaymentLink]:
    """Links of this merchant, newest first."""
    statement = select(PaymentLink).where(
        PaymentLink.tenant_id == actor.tenant_id, PaymentLink.mode == actor.mode
    )
    last = decode_cursor(cursor) if cursor else None
    if last:
        statement = statement.where(PaymentLink.id < last)
    with reading() as db:
        rows = list(db.scalars(statement.order_by(PaymentLink.id.desc()).limit(limit + 1)))
    return Page(rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


def set_active(actor: Actor, link_id: str, active: bool) -> PaymentLink:
    """Switch a link on or off."""
    get(actor, link_id)
    with transaction(actor) as db:
        link = db.get_one(PaymentLink, link_id, with_for_update=True)
        link.active = active
        db.flush()
        _note(db, link, "payment_link.activated" if active else "payment_link.deactivated")
        return link


def update(actor: Actor, link_id: str, change: LinkChange) -> PaymentLink:
    """Change what may be changed of a link; payments that have started keep what they were shown.

    Raises:
        VersionConflict: it is no longer at `change.version`.
        InvalidRequest: naming the field that cannot be.
    """
    get(actor, link_id)
    with transaction(actor) as db:
        link = db.get_one(PaymentLink, link_id, with_for_update=True, populate_existing=True)
        link.expect_version(change.version)
        if change.title is not None:
            link.title = change.title
        if change.description is not None:
            link.description = change.description
        if change.expires_at is not None:
            link.expires_at = change.expires_at
        if change.usage_limit is not None:
            if change.usage_limit < max(link.used + link.held, 1):
                raise InvalidRequest("The limit is below what is used already", field="usage_limit")
            link.usage_limit = change.usage_limit
        if not link.title.strip():
            raise InvalidRequest("Enter a title", field="title")
        db.flush()
        _note(db, link, "payment_link.updated")
        return link


def by_slug(slug: str) -> tuple[PaymentLink, TenantProfile]:
    """The link of a public page, with its merchant.

    Raises:
        NotFound: no such link.
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
    return row[0], row[1].profile()


def state(link: PaymentLink) -> str:
    """`payable`, or why not: `inactive`, `expired`, `used_up`."""
    if not link.active:
        return "inactive"
    if link.expires_at is not None and link.expires_at <= clock.now():
        return "expired"
    if link.usage_limit is not None and link.used >= link.usage_limit:
        return "used_up"
    return "payable"


@consulting
def pay(
    slug: str,
    *,
    amount: int | None = None,
    request_id: str = "",
    method_types: tuple[str, ...] = (),
) -> CheckoutSession:
    """Start a payment over a link: a hosted session of half an hour, holding one use.

    `method_types` narrows the link's own methods, as far as they have something in common.

    Raises:
        Conflict: `link_not_payable`.
        InvalidRequest: the payer's amount is outside the bounds.
    """
    link, profile = by_slug(slug)
    if state(link) != "payable":
        raise Conflict("This link cannot be paid", code="link_not_payable", explain={"reason": state(link)})
    price = _price(link, amount)
    actor = Actor(ActorKind.PUBLIC, "public", profile, Mode(link.mode), request_id=request_id)
    line = CartLine("line_1", f"link:{link.id}", link.title, 1, price)
    draft = SessionDraft(
        surface="link",
        cart=CartSnapshot(link.currency, (line,)),
        lifetime_seconds=checkout_settings(profile).link_ttl_seconds,
        title=link.title,
        description=link.description or None,
        reference=link.reference,
        hosted=True,
        method_types=tuple(m for m in link.method_types if m in method_types) or tuple(link.method_types),
        payment_link_id=link.id,
        options={"tax": "included"},
    )
    with transaction(actor) as db:
        link_uses.hold(db, link.id)
        return sessions.add(db, actor, draft)


def _price(link: PaymentLink, amount: int | None) -> int:
    if link.amount is not None:
        return link.amount
    low, high = link.min_amount or 1, link.max_amount or money.MAX_AMOUNT
    if amount is None or not low <= amount <= high:
        raise InvalidRequest(
            "Choose an amount within the bounds",
            code="invalid_amount",
            field="amount",
            explain={"min_amount": low, "max_amount": high},
        )
    return amount


def count_scan(slug: str) -> None:
    """Count that somebody came by the QR code."""
    with transaction() as db:
        db.execute(
            sql_update(PaymentLink)
            .where(PaymentLink.slug == slug)
            .values(scans=PaymentLink.scans + 1)
            .execution_options(synchronize_session=False)
        )


def _note(db: Any, link: PaymentLink, type_: str) -> None:
    record(
        db,
        type_,
        tenant_id=link.tenant_id,
        mode=link.mode,
        entity="payment_link",
        entity_id=link.id,
        cause="api",
        after={
            "id": link.id,
            "slug": link.slug,
            "amount": link.amount,
            "currency": link.currency,
            "active": link.active,
        },
    )
