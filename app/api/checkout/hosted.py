"""CK-054, CK-056: hosted pages."""

from __future__ import annotations

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.errors import NotFound
from app.kit import clock
from app.services.checkout import hosted, sessions
from app.web.schemas import Instant, Nothing, View
from app.web.surface import BROWSER


class HostedUrlView(View):
    """Where the page is, and how long it can be paid."""

    hosted_id: str
    url: str
    expires_at: Instant
    ttl_seconds: int


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
    "/hosted/{hosted_id}/status",
    "CK-056",
    returns=HostedStatusView,
    auth=BROWSER,
    permission="checkout:read",
)
def status(actor: Actor, hosted_id: str) -> HostedStatusView:
    """Read the status of a hosted session."""
    found, profile, _ = sessions.find_hosted(hosted_id)
    if profile.id != actor.tenant_id or found.mode != actor.mode:
        raise NotFound("There is no such checkout page", code="checkout_not_found")
    session = sessions.get(actor, found.id)
    return HostedStatusView(hosted_id=hosted_id, checkout_id=session.id, status=session.status)
