"""The built-in catalogue: products and their prices."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import CurrencyCode, PrimaryId, Ref


class Product(Owned, Timestamped, Base):
    """Something sold; `public_id` is the UUID of the sessions surface, `sku` ties it to stock."""

    __tablename__ = "products"
    __table_args__ = (Index("ix_products_tenant", "tenant_id", "mode", "id"),)

    id: Mapped[PrimaryId]
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    sku: Mapped[str] = mapped_column(String(64))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    active: Mapped[bool] = mapped_column(default=True)


class Price(Owned, Timestamped, Base):
    """What one unit costs, once or each interval (`month`, `year`)."""

    __tablename__ = "prices"

    id: Mapped[PrimaryId]
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    product_id: Mapped[Ref] = mapped_column(ForeignKey("products.id"), index=True)
    unit_amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    interval: Mapped[str | None] = mapped_column(String(10))
    interval_count: Mapped[int] = mapped_column(Integer, default=1)
    active: Mapped[bool] = mapped_column(default=True)
