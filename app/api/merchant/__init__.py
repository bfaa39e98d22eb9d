"""The merchant surface, /api (contract/merchant.md)."""

from app.api.merchant import links, sessions
from app.api.merchant.surface import surface

__all__ = ["links", "sessions", "surface"]
