"""CK-072: the audit of what happened to checkouts."""

from __future__ import annotations

from pydantic import Field

from app.api.checkout.surface import surface
from app.domain.actor import Actor
from app.domain.permissions import AUDIT_READ
from app.services.events.inspection import Filters
from app.web import audit_views
from app.web.audit_views import AuditEntryView, AuditQuery
from app.web.schemas import Listing, pages_of


class CheckoutAuditQuery(AuditQuery):
    """What is looked for: as in the payments' audit, or of one checkout."""

    checkout_id: str | None = Field(None, min_length=1, max_length=64)


@surface.get(
    "/audit", "CK-072", query=CheckoutAuditQuery, returns=pages_of(AuditEntryView), permission=AUDIT_READ
)
def audit(actor: Actor, query: CheckoutAuditQuery) -> Listing[AuditEntryView]:
    """Search what happened to checkouts and to their settings, by actor, action, time and checkout."""
    filters = Filters(query.actor, query.action, query.since, query.until, query.checkout_id, checkouts=True)
    return audit_views.search(actor, query, filters)
