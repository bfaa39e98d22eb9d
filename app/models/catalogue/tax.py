"""Tax rates by country and region (OP-70: 8 % unless the merchant says otherwise)."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import PrimaryId


class TaxRate(Owned, Base):
    """A percentage on discounted goods; an empty country is the merchant's default rate."""

    __tablename__ = "tax_rates"
    __table_args__ = (UniqueConstraint("tenant_id", "mode", "country", "region"),)

    id: Mapped[PrimaryId]
    name: Mapped[str]
    country: Mapped[str] = mapped_column(String(2), default="")
    region: Mapped[str] = mapped_column(String(40), default="")
    percent: Mapped[Decimal] = mapped_column(Numeric(7, 4))
