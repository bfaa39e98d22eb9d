"""The merchant surface, /api (contract/merchant.md)."""

from app.api.merchant import links, mfa, refunds, sessions
from app.api.merchant.surface import surface

__all__ = ["links", "mfa", "refunds", "sessions", "surface"]
