"""MR-004, MR-005: the public face of payment links."""

from __future__ import annotations

from flask import g, request
from pydantic import Field

from app.api.merchant.surface import surface
from app.services.checkout import hosted, links
from app.web.schemas import Body, Instant, View
from app.web.surface import PUBLIC, Idempotency, Limit


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


class LinkPay(Body):
    """Which methods the payer may use."""

    methodTypes: list[str] = Field(default_factory=lambda: ["card"], max_length=10)  # noqa: N815


class LinkSession(View):
    """The session that was started."""

    sessionId: str  # noqa: N815
    redirectUrl: str  # noqa: N815
    qrImageUrl: str | None  # noqa: N815
    expiresAt: Instant  # noqa: N815


@surface.get("/v1/links/{slug}", "MR-004", returns=LinkView, auth=PUBLIC, limit=Limit(10, "ip"))
def get(slug: str) -> LinkView:
    """Read a payment link."""
    link, _ = links.by_slug(slug)
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
    session = links.pay(slug, request_id=g.request_id)
    qr = f"{request.url_root.rstrip('/')}/l/{slug}/qr.png" if "promptpay" in body.methodTypes else None
    return LinkSession(
        sessionId=session.public_id,
        redirectUrl=hosted.url_of(session),
        qrImageUrl=qr,
        expiresAt=session.expires_at,
    )
