"""Tokens for people and machines, /v1/auth (OP-05)."""

from app.web import error_bodies
from app.web.surface import Surface

surface = Surface("auth", "/v1/auth", render_error=error_bodies.lower)
