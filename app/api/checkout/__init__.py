"""The checkout surface, /v1/checkout (contract/checkout.md)."""

from app.api.checkout import (
    details,
    hosted,
    intents,
    reservations,
    sessions,
    shipping,
    totals,
    webhooks,
)
from app.api.checkout.surface import surface

__all__ = [
    "details",
    "hosted",
    "intents",
    "reservations",
    "sessions",
    "shipping",
    "surface",
    "totals",
    "webhooks",
]
