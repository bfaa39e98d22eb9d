"""The checkout surface, /v1/checkout (contract/checkout.md)."""

from app.api.checkout import (
    details,
    finalization,
    holds,
    hosted,
    identity,
    intents,
    methods,
    reservations,
    returns,
    risk,
    sessions,
    shipments,
    shipping,
    support,
    totals,
    wallet,
    webhooks,
)
from app.api.checkout.surface import surface

__all__ = [
    "details",
    "finalization",
    "holds",
    "hosted",
    "identity",
    "intents",
    "methods",
    "reservations",
    "returns",
    "risk",
    "sessions",
    "shipments",
    "shipping",
    "support",
    "surface",
    "totals",
    "wallet",
    "webhooks",
]
