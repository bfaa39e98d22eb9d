"""The secrets with which gateways and other systems sign what they send a merchant."""

from __future__ import annotations

from sqlalchemy import select

from app.db import reading
from app.models.access.tenant import Tenant
from app.services.operations import secrets_at_rest


def find(tenant_id: str, kind: str) -> str | None:
    """The secret of `kind` (payment, threeds, fraud, stripe), or None where there is none."""
    with reading() as db:
        stored = db.scalar(select(Tenant.inbound_secrets).where(Tenant.id == tenant_id))
    if not stored or kind not in stored:
        return None
    return secrets_at_rest.decrypt(stored[kind], tenant_id, "inbound", kind)
