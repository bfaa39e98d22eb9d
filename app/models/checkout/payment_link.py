"""Payment links: a public page that makes a session for each payer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped, Versioned
from app.models.types import CurrencyCode, PrimaryId, Ref


class PaymentLink(Owned, Timestamped, Versioned, Base):
    """A slug, unique over all merchants, with an amount (null: the payer chooses within the bounds)."""

    __tablename__ = "payment_links"
    __table_args__ = (
        Index("ix_payment_links_tenant", "tenant_id", "mode", "id"),
        CheckConstraint("usage_limit IS NULL OR used + held <= usage_limit", name="within_limit"),
    )

    id: Mapped[PrimaryId]
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    amount: Mapped[int | None]
    min_amount: Mapped[int | None]
    max_amount: Mapped[int | None]
    #: Amounts that are offered to a payer who chooses.
    presets: Mapped[list[Any] | None]
    currency: Mapped[CurrencyCode]
    reference: Mapped[str | None]
    method_types: Mapped[list[str]] = mapped_column(default=list)
    active: Mapped[bool] = mapped_column(default=True)
    expires_at: Mapped[datetime | None]
    usage_limit: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    scans: Mapped[int] = mapped_column(default=0)
    #: What its page asks for beside the amount, and says when nobody can pay (services/…/link_page.py).
    page: Mapped[dict[str, Any] | None]
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_by: Mapped[str | None] = mapped_column(String(40))
