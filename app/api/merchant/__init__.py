"""The merchant surface, /api (contract/merchant.md)."""

from app.api.merchant import keys, links, mfa, refunds, sessions, webhooks
from app.api.merchant.surface import surface

__all__ = ["keys", "links", "mfa", "refunds", "sessions", "surface", "webhooks"]
