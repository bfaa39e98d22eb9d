"""The payments surface, /v1/payments and /v1/{tenant_id}/payments (contract/payments.md, OP-44)."""

from app.api.payments import (
    access,
    apms,
    authorizations,
    connectors,
    disputes,
    fraud,
    health,
    intents,
    jobs,
    refunds,
    reports,
    routing_rules,
    sandbox,
    settings,
    threeds,
    uploads,
    webhooks,
)
from app.api.payments.surface import surface

__all__ = [
    "access",
    "apms",
    "authorizations",
    "connectors",
    "disputes",
    "fraud",
    "health",
    "intents",
    "jobs",
    "refunds",
    "reports",
    "routing_rules",
    "sandbox",
    "settings",
    "surface",
    "threeds",
    "uploads",
    "webhooks",
]
