"""The checkout surface, /v1/checkout (contract/checkout.md)."""

from app.api.checkout import (
    details,
    finalization,
    hosted,
    identity,
    intents,
    methods,
    reservations,
    returns,
    risk,
    sessions,
    shipping,
    totals,
    wallet,
    webhooks,
)
from app.api.checkout.surface import surface

__all__ = [
    "details",
    "finalization",
    "hosted",
    "identity",
    "intents",
    "methods",
    "reservations",
    "returns",
    "risk",
    "sessions",
    "shipping",
    "surface",
    "totals",
    "wallet",
    "webhooks",
]
