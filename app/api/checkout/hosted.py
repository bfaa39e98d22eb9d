"""CK-054 to CK-056: hosted pages, and tokens for pages of others."""

from __future__ import annotations

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.kit import clock
from app.services.checkout import hosted, sessions
from app.web.endpoint import Answer
from app.web.schemas import Instant, Nothing, View
from app.web.surface import BROWSER


class HostedUrlView(View):
    """Where the page is, and how long it can be paid."""

    hosted_id: str
    url: str
    expires_at: Instant
    ttl_seconds: int


class EmbedTokenView(View):
    """A token for an iframe or the embed SDK, and its end."""

    token: str
    expires_at: Instant


class HostedStatusView(View):
    """How a hosted session stands (useful when the shopper comes back)."""

    hosted_id: str
    checkout_id: str
    status: str


@surface.post(
    "/sessions/{checkout_id}/hosted-url",
    "CK-054",
    body=Nothing,
    returns=HostedUrlView,
    status=201,
    permission="checkout:write",
)
def create(actor: Actor, checkout_id: str, body: Nothing) -> HostedUrlView:
    """Generate a secure hosted page URL for the session."""
    session = hosted.open_page(actor, checkout_id)
    left = (session.expires_at - clock.now()).total_seconds()
    return HostedUrlView.model_construct(
        hosted_id=session.hosted_id or "",
        url=hosted.url_of(session),
        expires_at=session.expires_at,
        ttl_seconds=max(int(left), 0),
    )


@surface.get(
    "/sessions/{checkout_id}/embed-token",
    "CK-055",
    returns=EmbedTokenView,
    auth=BROWSER,
    permission="checkout:read",
)
def embed(actor: Actor, checkout_id: str) -> Answer:
    """Short-lived token for an iframe or embed SDK."""
    token, expires_at = hosted.embed_token(actor, checkout_id)
    view = EmbedTokenView.model_construct(token=token, expires_at=expires_at)
    return Answer(view, {"Cache-Control": "no-store"})


@surface.get(
    "/hosted/{hosted_id}/status",
    "CK-056",
    returns=HostedStatusView,
    auth=BROWSER,
    permission="checkout:read",
    tells_payers=True,
)
def status(actor: Actor, hosted_id: str) -> HostedStatusView:
    """Read the status of a hosted session."""
    found, profile, _ = hosted.find(hosted_id)
    if profile.id != actor.tenant_id or found.mode != actor.mode:
        raise NotFound("There is no such checkout page", code="checkout_not_found")
    session = sessions.get(actor, found.id)
    return HostedStatusView(hosted_id=hosted_id, checkout_id=session.id, status=session.status)
