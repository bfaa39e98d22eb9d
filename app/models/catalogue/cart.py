"""Carts of the built-in cart provider."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import CurrencyCode, PrimaryId


class Cart(Owned, Timestamped, Base):
    """Lines as the merchant's shop sent them: `line_id sku name quantity unit_price` each (OP-27)."""

    __tablename__ = "carts"
    __table_args__ = (UniqueConstraint("tenant_id", "mode", "cart_id"),)

    id: Mapped[PrimaryId]
    cart_id: Mapped[str] = mapped_column(String(64))
    currency: Mapped[CurrencyCode]
    lines: Mapped[list[dict[str, Any]]]
