"""API keys: shown once, stored as a keyed hash (security.md)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import PrimaryId, Ref


class ApiKey(Owned, Timestamped, Base):
    """A secret (`sk_`) or publishable (`pk_`) key of one merchant and mode."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("ix_api_keys_tenant", "tenant_id", "mode", "id"),
        Index("ix_api_keys_made_with", "made_with"),
    )

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    public_id: Mapped[str] = mapped_column(String(36), unique=True)
    kind: Mapped[str] = mapped_column(String(2))
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(String(12))
    last4: Mapped[str] = mapped_column(String(4))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(default=list)
    #: The person who answers for it, and whose rights it cannot exceed; None where an operator made it.
    created_by: Mapped[str | None] = mapped_column(String(40))
    #: The key with which it was made, and which takes it along when it is revoked.
    made_with: Mapped[str | None] = mapped_column(String(40))
    #: The key that takes its place since it was rolled.
    replaced_by: Mapped[str | None] = mapped_column(String(40))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
