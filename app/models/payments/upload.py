"""Uploads: documents that a merchant hands in; their bytes lie in the data folder."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned, Timestamped
from app.models.types import PrimaryId


class Upload(Owned, Timestamped, Base):
    """A document: announced with a signed address, or here already. It never changes once it is stored."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index(
            "ix_uploads_waiting",
            "expires_at",
            sqlite_where=text("stored_at IS NULL"),
            postgresql_where=text("stored_at IS NULL"),
        ),
        Index(
            "ix_uploads_deleted",
            "deleted_at",
            sqlite_where=text("deleted_at IS NOT NULL"),
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
    )

    id: Mapped[PrimaryId]
    purpose: Mapped[str] = mapped_column(String(32))
    filename: Mapped[str] = mapped_column(String(120))
    content_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int | None]
    sha256: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    #: The identity check that it is a document of; None for what a merchant hands in.
    kyc_id: Mapped[str | None] = mapped_column(String(40), index=True)
    stored_at: Mapped[datetime | None]
    #: When its bytes were deleted, since the time for which documents are kept was over.
    deleted_at: Mapped[datetime | None]
    created_by: Mapped[str | None] = mapped_column(String(40))
