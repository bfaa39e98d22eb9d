"""Tokens for people and machines, /v1/auth (OP-05)."""

from app.api.auth import tokens
from app.api.auth.surface import surface

__all__ = ["surface", "tokens"]
