"""Payment methods: tokens and what may be shown of them; never a number, never a security code."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.domain.lifecycles import methods
from app.models.base import Base, Owned, Timestamped
from app.models.stateful import Stateful
from app.models.types import PrimaryId, Ref


class PaymentMethod(Owned, Timestamped, Stateful, Base):
    """A method at one connector. `token` is that connector's own random reference.

    `source_token` is the single-use token that a client brought: it makes one method. `intent_id` is the
    payment that a method without consent has been used for: it serves no other.

    `fingerprint` and `prefix_hash` are the vault's keyed hashes of the number and of its first six digits:
    they tell that two methods are one card, and nothing else. `gateway_risk` is the vault's opinion of the
    card, 0 to 100.
    """

    __tablename__ = "payment_methods"
    __table_args__ = (
        Index("ix_payment_methods_customer", "tenant_id", "mode", "customer_id", "status", "id"),
        Index(
            "ix_payment_methods_last4",
            "tenant_id",
            "mode",
            "last4",
            "id",
            sqlite_where=text("last4 IS NOT NULL"),
            postgresql_where=text("last4 IS NOT NULL"),
        ),
        Index("uq_payment_methods_source", "tenant_id", "mode", "source_token", unique=True),
        Index(
            "uq_payment_methods_default",
            "tenant_id",
            "mode",
            "customer_id",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )
    lifecycle = methods.LIFECYCLE

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    type: Mapped[str] = mapped_column(String(24))
    connector: Mapped[str] = mapped_column(String(40))
    #: The account whose vault has the token; None where it is bound to none (a vault that accounts share).
    connector_id: Mapped[str | None] = mapped_column(String(40))
    token: Mapped[str] = mapped_column(String(128))
    source_token: Mapped[str | None] = mapped_column(String(128))
    brand: Mapped[str | None] = mapped_column(String(24))
    last4: Mapped[str | None] = mapped_column(String(4))
    exp_month: Mapped[int | None] = mapped_column(Integer)
    exp_year: Mapped[int | None] = mapped_column(Integer)
    country: Mapped[str | None] = mapped_column(String(2))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    prefix_hash: Mapped[str | None] = mapped_column(String(64))
    gateway_risk: Mapped[int | None] = mapped_column(Integer)
    customer_id: Mapped[str | None] = mapped_column(String(64))
    merchant_account_id: Mapped[str | None] = mapped_column(String(40))
    intent_id: Mapped[str | None] = mapped_column(String(40))
    consent: Mapped[bool] = mapped_column(default=False)
    consented_at: Mapped[datetime | None]
    reusable: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    verified_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "status": self.status,
            "type": self.type,
            "brand": self.brand,
            "last4": self.last4,
            "customer_id": self.customer_id,
            "merchant_account_id": self.merchant_account_id,
            "consent": self.consent,
            "reusable": self.reusable,
            "is_default": self.is_default,
            "version": self.version,
        }
