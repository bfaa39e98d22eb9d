"""The sessions surface, /checkout-sessions (contract/sessions.md)."""

from app.api.sessions import checkout_sessions
from app.api.sessions.surface import surface

__all__ = ["checkout_sessions", "surface"]
