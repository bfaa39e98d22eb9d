"""One-time links with which a person chooses a password: to come in at all, or where theirs is lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base
from app.models.types import Ref


class Invitation(Base):
    """A link's keyed hash. A person has one at most: a new one ends the one before."""

    __tablename__ = "invitations"

    user_id: Mapped[Ref] = mapped_column(ForeignKey("users.id"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
