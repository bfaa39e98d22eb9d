"""The sessions surface, /checkout-sessions (contract/sessions.md)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface(
    "sessions",
    "",
    render_error=error_bodies.numbered,
    key_header="x-api-key",
    handles="/checkout-sessions",
)
