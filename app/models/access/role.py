"""A merchant's own roles: bundles of permissions beside the built-in ones (PY-073, PY-074)."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Timestamped
from app.models.types import PrimaryId, Ref


class Role(Timestamped, Base):
    """A named bundle; people have it by its name, as they have a built-in one."""

    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    id: Mapped[PrimaryId]
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(40))
    description: Mapped[str] = mapped_column(default="")
    permissions: Mapped[list[str]]
    created_by: Mapped[str | None] = mapped_column(String(40))
