"""Delivery options that a merchant offers, by country and currency."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import CurrencyCode, PrimaryId


class ShippingRate(Owned, Base):
    """One option: `code` is the public `shipping_option_id`; empty `countries` means everywhere."""

    __tablename__ = "shipping_rates"
    __table_args__ = (UniqueConstraint("tenant_id", "mode", "code", "currency"),)

    id: Mapped[PrimaryId]
    code: Mapped[str] = mapped_column(String(40))
    label: Mapped[str]
    carrier: Mapped[str] = mapped_column(String(40))
    service_code: Mapped[str] = mapped_column(String(40))
    currency: Mapped[CurrencyCode]
    cost: Mapped[int]
    countries: Mapped[list[Any]] = mapped_column(default=list)
    days_min: Mapped[int] = mapped_column(Integer, default=1)
    days_max: Mapped[int] = mapped_column(Integer, default=5)
    active: Mapped[bool] = mapped_column(default=True)
