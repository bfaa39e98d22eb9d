"""Fraud decisions: what was thought of a payment, why, and who decided otherwise (PY-063 to 066, CK-045)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Owned
from app.models.types import PrimaryId


class FraudDecision(Owned, Base):
    """One scoring of one intent, of a checkout, or of both.

    It never changes, apart from an override and the note of its use. `source` is `confirm`, `score` (on
    demand) or `webhook` (the provider's own). `problem` says what went wrong with the provider, where the
    merchant's `on_failure` decided in its place. `inputs` hold no number, no whole address, no e-mail.
    """

    __tablename__ = "fraud_decisions"
    __table_args__ = (Index("ix_fraud_decisions_intent", "intent_id", "id"),)

    id: Mapped[PrimaryId]
    intent_id: Mapped[str | None] = mapped_column(String(40), ForeignKey("payment_intents.id"))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    payment_method_id: Mapped[str | None] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(8))
    provider: Mapped[str] = mapped_column(String(24))
    problem: Mapped[str | None] = mapped_column(String(80))
    score: Mapped[int] = mapped_column(Integer)
    action: Mapped[str] = mapped_column(String(10))
    reasons: Mapped[list[dict[str, Any]]]
    inputs: Mapped[dict[str, Any]]
    override_of: Mapped[str | None] = mapped_column(String(40))
    override_action: Mapped[str | None] = mapped_column(String(10))
    override_reason: Mapped[str | None] = mapped_column(String(500))
    overridden_by: Mapped[str | None] = mapped_column(String(64))
    overridden_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
