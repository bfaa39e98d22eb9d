"""The checkout surface, /v1/checkout (contract/checkout.md)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface("checkout", "/v1/checkout", render_error=error_bodies.lower)
