"""The payments surface, /v1/payments and /v1/{tenant_id}/payments (contract/payments.md, OP-44)."""

from app.api.payments import (
    access,
    disputes,
    fraud,
    health,
    intents,
    methods,
    refunds,
    reports,
    sandbox,
    settings,
    threeds_lookup,
    tokens,
    uploads,
    webhooks,
)
from app.api.payments.surface import surface

__all__ = [
    "access",
    "disputes",
    "fraud",
    "health",
    "intents",
    "methods",
    "refunds",
    "reports",
    "sandbox",
    "settings",
    "surface",
    "threeds_lookup",
    "tokens",
    "uploads",
    "webhooks",
]
