"""The secrets that a merchant shares with gateways and with its own systems, to sign what goes between."""

from __future__ import annotations

from sqlalchemy import select

from app.db import reading
from app.domain.actor import Mode
from app.models.access.tenant import Tenant
from app.services.operations import secrets_at_rest


def find(tenant_id: str, kind: str) -> str | None:
    """The secret of `kind` (payment, threeds, fraud, kyc, stripe, a provider's), or None."""
    found = find_all(tenant_id, kind)
    return found[0] if found else None


def find_all(tenant_id: str, kind: str) -> list[str]:
    """The secret of `kind`, and the one before it while that is kept; none where there is none."""
    with reading() as db:
        stored = db.scalar(select(Tenant.inbound_secrets).where(Tenant.id == tenant_id)) or {}
    kinds = [each for each in (kind, previous(kind)) if each in stored]
    return [secrets_at_rest.decrypt(stored[each], tenant_id, "inbound", each) for each in kinds]


def previous(kind: str) -> str:
    """Where the secret is kept that one of `kind` took the place of."""
    return f"{kind}.previous"


def of_provider(name: str, *, alone: bool = False) -> str:
    """The kind of the secret with which we sign what we ask a provider; `alone`: of test mode alone."""
    return f"provider_{name}.test" if alone else f"provider_{name}"


def find_for(tenant_id: str, provider: str, mode: str) -> list[str]:
    """The secrets with which we sign what we ask a remote provider in that mode; see `find_all`."""
    alone = find_all(tenant_id, of_provider(provider, alone=True)) if mode == Mode.TEST else []
    return alone or find_all(tenant_id, of_provider(provider))
