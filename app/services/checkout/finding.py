"""Search over everything a merchant has: payments, refunds, disputes, checkouts, links, customers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, or_, select

from app.db import reading
from app.domain.actor import Actor
from app.kit.pagination import Page
from app.models.checkout.payment_link import PaymentLink
from app.models.checkout.session import CheckoutSession
from app.models.payments.dispute import Dispute
from app.models.payments.refund import Refund
from app.services.checkout import customers
from app.services.checkout.customers import Customer
from app.services.payments import listing, search
from app.services.payments.listing import Line

#: Hits of one kind that are shown; the list of payments has the others.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found, each kind newest first."""

    payments: list[Line] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    checkouts: list[CheckoutSession] = field(default_factory=list)
    links: list[PaymentLink] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    more_payments: bool = False

    @property
    def total(self) -> int:
        """How many are shown."""
        kinds = (self.payments, self.refunds, self.disputes, self.checkouts, self.links, self.customers)
        return sum(len(kind) for kind in kinds)


def everything(actor: Actor, query: str) -> Hits:
    """What the words fit, of each kind `SHOWN` at most; nothing of a kind that the actor may not see."""
    text = query.strip()
    if not text:
        return Hits()
    payments = _payments(actor, text) if actor.can("intents:read") else None
    checkouts = search.checkouts(actor, text, limit=SHOWN) if actor.can("checkout:read") else []
    return Hits(
        payments=payments.data if payments else [],
        more_payments=bool(payments and payments.has_more),
        refunds=_fitting(actor, Refund, text, (Refund.reason_text,)) if actor.can("refunds:read") else [],
        disputes=_disputes(actor, text) if actor.can("disputes:read") else [],
        checkouts=checkouts,
        links=_links(actor, text) if actor.can("links:read") else [],
        customers=customers.find(actor, text, checkouts)[:SHOWN] if actor.can("methods:read") else [],
    )


def _payments(actor: Actor, text: str) -> Page[Line] | None:
    ids = tuple(search.find(actor, text))
    return listing.page(actor, listing.Filters(ids=ids), limit=SHOWN) if ids else None


def _disputes(actor: Actor, text: str) -> list[Dispute]:
    return _fitting(actor, Dispute, text, (Dispute.reason_code, Dispute.status))


def _fitting(actor: Actor, table: Any, text: str, words: tuple[Any, ...]) -> list[Any]:
    """Rows of a table by id or the gateway's reference; else by words, among the latest."""
    named = _mine(actor, table).where(or_(table.id == text, table.gateway_reference == text))
    with reading() as db:
        found = list(db.scalars(named.limit(SHOWN)))
        if found or len(text) < 3:
            return found
        latest = (
            select(table.id, *words)
            .where(table.tenant_id == actor.tenant_id, table.mode == str(actor.mode))
            .order_by(table.id.desc())
            .limit(search.LATEST)
            .subquery()
        )
        fits = or_(*(latest.c[column.key].icontains(text, autoescape=True) for column in words))
        ids = select(latest.c.id).where(fits).order_by(latest.c.id.desc()).limit(SHOWN)
        return list(db.scalars(_mine(actor, table).where(table.id.in_(ids)).order_by(table.id.desc())))


def _links(actor: Actor, text: str) -> list[PaymentLink]:
    """Links by id, slug, title, description or reference: the latest are looked through."""
    link = PaymentLink
    latest = _mine(actor, link).with_only_columns(link.id).order_by(link.id.desc()).limit(search.LATEST)
    named = or_(link.id == text, link.public_id == text, link.slug == text)
    words = (link.title, link.description, link.reference, link.slug)
    fits = or_(*(column.icontains(text, autoescape=True) for column in words)) if len(text) >= 3 else named
    statement = select(link).where(link.id.in_(latest.subquery().select()), or_(named, fits))
    with reading() as db:
        return list(db.scalars(statement.order_by(link.id.desc()).limit(SHOWN)))


def _mine(actor: Actor, table: Any) -> Select[Any]:
    return select(table).where(table.tenant_id == actor.tenant_id, table.mode == str(actor.mode))
