"""Velocity limits in JSON, as a merchant sets them on more than one surface (PY-081, CK-071)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.web.schemas import Body, Integer


class VelocityLimit(Body):
    """At most so many tries, or so much of one currency in minor units, in a sliding window."""

    scope: Literal["card", "card_prefix", "customer", "email", "address", "device"]
    max_count: Integer | None = Field(None, ge=1)
    max_amount: Integer | None = Field(None, ge=1)
    window_seconds: Integer = Field(ge=1, le=86_400)
