"""The merchant surface, /api (contract/merchant.md)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface("merchant", "/api", render_error=error_bodies.upper)
