"""The checkout surface, /v1/checkout (contract/checkout.md)."""

from app.api.checkout import hosted, intents, sessions, totals, webhooks
from app.api.checkout.surface import surface

__all__ = ["hosted", "intents", "sessions", "surface", "totals", "webhooks"]
