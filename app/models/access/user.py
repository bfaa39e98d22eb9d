"""People who sign in to the dashboard, their second factor and their server-side sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Timestamped
from app.models.types import Ref


class User(Timestamped, Base):
    """A person of one merchant. `number` is the integer id of the orders surface (OP-05)."""

    __tablename__ = "users"

    #: The database counts; nobody computes the next number.
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(40), unique=True)
    tenant_id: Mapped[Ref] = mapped_column(ForeignKey("tenants.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(40))
    password_hash: Mapped[str]
    totp_secret: Mapped[str | None]
    totp_enabled: Mapped[bool] = mapped_column(default=False)
    totp_last_step: Mapped[int] = mapped_column(default=0)
    failed_logins: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[datetime | None]
    last_login_at: Mapped[datetime | None]
    tokens_valid_after: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A one-time way in without the TOTP device: only its keyed hash is kept."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("users.id"), index=True)
    used_at: Mapped[datetime | None]


class WebSession(Base):
    """A signed-in browser: the cookie holds a random token, this row its hash.

    `step_up` maps an action (`refund`, `api-keys` …) to the instant until which it is allowed.
    """

    __tablename__ = "web_sessions"
    __table_args__ = (Index("ix_web_sessions_user_id", "user_id"),)

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    #: Names the session where it is listed; it stays when the token is renewed.
    id: Mapped[str] = mapped_column(String(40), unique=True)
    user_id: Mapped[Ref] = mapped_column(ForeignKey("users.id"))
    address: Mapped[str | None] = mapped_column(String(64))
    agent: Mapped[str] = mapped_column(String(80), default="")
    mode: Mapped[str] = mapped_column(String(4), default="test")
    step_up: Mapped[dict[str, Any]] = mapped_column(default=dict)
    mfa_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
