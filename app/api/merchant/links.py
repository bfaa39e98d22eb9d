"""MR-004, MR-005: the public face of payment links; POST /v1/links makes one (OP-51)."""

from __future__ import annotations

from typing import Annotated

from flask import g
from pydantic import AwareDatetime, Field, Strict

from app.api.merchant.sessions import QR_METHODS
from app.api.merchant.surface import surface
from app.domain.actor import Actor
from app.domain.permissions import LINKS_MANAGE
from app.models.checkout.payment_link import PaymentLink
from app.services.checkout import hosted, links
from app.services.checkout.links import LinkDraft
from app.web.schemas import Body, Instant, Integer, View
from app.web.surface import PUBLIC, SERVER, Idempotency, Limit


class LinkView(View):
    """What anybody may know of a link; names as the contract has them (OP-03)."""

    slug: str
    amount: int | None
    currency: str
    reference: str | None
    status: str
    expires_at: Instant | None
    isExpired: bool  # noqa: N815 - the contract's spelling
    usageLimitReached: bool  # noqa: N815
    canPay: bool  # noqa: N815


class LinkCreate(Body):
    """What a link asks for; without `amount` the payer chooses. `title` is what the payer reads."""

    slug: str | None = Field(None, max_length=64)
    amount: Integer | None = None
    currency: str = Field(pattern="^[A-Z]{3}$")
    reference: str = Field(min_length=1, max_length=200)
    title: str | None = Field(None, min_length=1, max_length=200)
    expires_at: Annotated[AwareDatetime, Strict(False)] | None = None
    usageLimit: Integer | None = None  # noqa: N815

    def draft(self) -> LinkDraft:
        """The draft that the service takes."""
        return LinkDraft(
            title=self.title or self.reference,
            currency=self.currency,
            slug=self.slug,
            amount=self.amount,
            reference=self.reference,
            expires_at=self.expires_at,
            usage_limit=self.usageLimit,
        )


class LinkPay(Body):
    """Which methods the payer may use."""

    methodTypes: list[str] = Field(default_factory=lambda: ["card"], max_length=10)  # noqa: N815


class LinkSession(View):
    """The session that was started."""

    sessionId: str  # noqa: N815
    redirectUrl: str  # noqa: N815
    qrImageUrl: str | None  # noqa: N815
    expiresAt: Instant  # noqa: N815


@surface.post(
    "/v1/links",
    "OP-51",
    body=LinkCreate,
    returns=LinkView,
    status=201,
    auth=SERVER,
    permission=LINKS_MANAGE,
)
def create(actor: Actor, body: LinkCreate) -> LinkView:
    """Make a payment link."""
    return _view(links.create(actor, body.draft()))


@surface.get("/v1/links/{slug}", "MR-004", returns=LinkView, auth=PUBLIC, limit=Limit(10, "ip"))
def get(slug: str) -> LinkView:
    """Read a payment link."""
    link, _ = links.by_slug(slug)
    return _view(link)


def _view(link: PaymentLink) -> LinkView:
    state = links.state(link)
    words = {"payable": "active", "used_up": "active"}
    return LinkView(
        slug=link.slug,
        amount=link.amount,
        currency=link.currency,
        reference=link.reference,
        status=words.get(state, state),
        expires_at=link.expires_at,
        isExpired=state == "expired",
        usageLimitReached=state == "used_up",
        canPay=state == "payable",
    )


@surface.post(
    "/v1/links/{slug}/checkout",
    "MR-005",
    body=LinkPay,
    returns=LinkSession,
    status=201,
    auth=PUBLIC,
    limit=Limit(3, "ip"),
    idempotency=Idempotency.NONE,
)
def pay(slug: str, body: LinkPay) -> LinkSession:
    """Start a payment over a link."""
    session = links.pay(slug, request_id=g.request_id, method_types=tuple(body.methodTypes))
    by_qr = QR_METHODS.intersection(body.methodTypes).intersection(session.method_types)
    return LinkSession(
        sessionId=session.public_id,
        redirectUrl=hosted.url_of(session),
        qrImageUrl=hosted.qr_url_of(session) if by_qr else None,
        expiresAt=session.expires_at,
    )
