"""Attempts: each try at a gateway. The field calls a captured one a charge; both words name this row."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.domain.lifecycles import attempts
from app.models.base import Base, Owned, Timestamped
from app.models.events.journal import JournalLinks
from app.models.payments.connector import ConnectorAccount
from app.models.stateful import Stateful
from app.models.types import CurrencyCode, PrimaryId, Ref

#: An attempt in one of these has ended without holding money; any other is live, and an intent has one.
_DEAD = "('declined', 'not_found', 'voided', 'auth_expired')"


class Attempt(Owned, Timestamped, Stateful, Base):
    """One try: written and committed before the gateway hears of it (reliability.md 1).

    `nonce` is the idempotency key of the form or call that caused it; `return_nonce` guards the way back
    from 3DS or a bank, and `returned_at` is when a caller used it up. `operation_nonce` is the key of the
    call that asked for the capture. `next_query_at` is when the sweep asks the gateway about it. `block_code`
    is the decline that the risk rules gave it: no gateway hears of such a one. `counted_in` are the velocity
    counters that its decline counts in.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "uq_attempts_live",
            "intent_id",
            unique=True,
            sqlite_where=text(f"status NOT IN {_DEAD}"),
            postgresql_where=text(f"status NOT IN {_DEAD}"),
        ),
        Index(
            "ix_attempts_sweep",
            "next_query_at",
            sqlite_where=text("next_query_at IS NOT NULL"),
            postgresql_where=text("next_query_at IS NOT NULL"),
        ),
        Index("ix_attempts_connector", "tenant_id", "mode", "connector_id", "created_at"),
        Index(
            "ix_attempts_captured",
            "tenant_id",
            "mode",
            "captured_at",
            "id",
            sqlite_where=text("captured_at IS NOT NULL"),
            postgresql_where=text("captured_at IS NOT NULL"),
        ),
        UniqueConstraint("intent_id", "nonce"),
        Index("ix_attempts_time", "tenant_id", "mode", "created_at", "id"),
    )
    lifecycle = attempts.LIFECYCLE

    id: Mapped[PrimaryId]
    intent_id: Mapped[Ref] = mapped_column(ForeignKey("payment_intents.id"))
    checkout_id: Mapped[str | None] = mapped_column(String(40))
    number: Mapped[int] = mapped_column(Integer)
    nonce: Mapped[str] = mapped_column(String(80))
    return_nonce: Mapped[str] = mapped_column(String(64), unique=True)
    returned_at: Mapped[datetime | None]
    return_url: Mapped[str | None]
    operation_nonce: Mapped[str | None] = mapped_column(String(80))
    #: The type of connector, and the merchant's account there; None: the sandbox that needs no account.
    connector: Mapped[str] = mapped_column(String(40))
    connector_id: Mapped[str | None] = mapped_column(String(40))
    account: Mapped[ConnectorAccount | None] = relationship(
        primaryjoin="foreign(Attempt.connector_id) == ConnectorAccount.id", viewonly=True, lazy="raise"
    )
    payment_method_id: Mapped[Ref] = mapped_column(ForeignKey("payment_methods.id"))
    #: Where the shopper is, else where the card was issued, as it was known when it was routed (ISO 3166).
    country: Mapped[str | None] = mapped_column(String(2))
    amount: Mapped[int]
    currency: Mapped[CurrencyCode]
    gateway_reference: Mapped[str | None] = mapped_column(String(128), index=True)
    action: Mapped[dict[str, Any] | None]
    action_expires_at: Mapped[datetime | None]
    decline_code: Mapped[str | None] = mapped_column(String(48))
    acquirer: Mapped[str | None] = mapped_column(String(64))
    response_code: Mapped[str | None] = mapped_column(String(24))
    avs_result: Mapped[str | None] = mapped_column(String(16))
    cvv_result: Mapped[str | None] = mapped_column(String(16))
    three_ds_result: Mapped[str | None] = mapped_column(String(24))
    risk_score: Mapped[int | None] = mapped_column(Integer)
    decision_id: Mapped[str | None] = mapped_column(String(40))
    force_three_ds: Mapped[bool] = mapped_column(default=False)
    off_session: Mapped[bool] = mapped_column(default=False)
    block_code: Mapped[str | None] = mapped_column(String(48))
    counted_in: Mapped[list[str] | None]
    amount_to_capture: Mapped[int | None]
    amount_captured: Mapped[int] = mapped_column(default=0)
    authorized_at: Mapped[datetime | None]
    captured_at: Mapped[datetime | None]
    auth_expires_at: Mapped[datetime | None]
    settlement_id: Mapped[str | None] = mapped_column(String(40))
    settlement_date: Mapped[date | None]
    next_query_at: Mapped[datetime | None]
    queries: Mapped[int] = mapped_column(Integer, default=0)
    needs_review: Mapped[bool] = mapped_column(default=False)
    #: Who said that the money of a bank transfer had come, before its gateway did (OP-79).
    confirmed_by: Mapped[str | None] = mapped_column(String(64))

    @property
    def authorization_id(self) -> str:
        """The id under which the authorisation of this charge is known."""
        return self.id.replace("ch_", "auth_", 1)

    def gateway_key(self, operation: str) -> str:
        """The gateway's idempotency key: ours, never the client's (reliability.md 4)."""
        return f"{operation}_{self.id}"

    def facts(self) -> dict[str, Any]:
        """See `Stateful.facts`."""
        return {
            "id": self.id,
            "status": self.status,
            "amount": self.amount,
            "currency": self.currency,
            "connector": self.connector,
            "connector_id": self.connector_id,
            "gateway_reference": self.gateway_reference,
            "decline_code": self.decline_code,
            "amount_captured": self.amount_captured,
            "version": self.version,
        }

    def journal_links(self) -> JournalLinks:
        """See `Stateful.journal_links`."""
        return {"checkout_id": self.checkout_id, "payment_intent_id": self.intent_id}


#: The connector of an attempt, as reports and statements name it: the account, or the type of one that
#: needs none.
connector_of_attempt = func.coalesce(Attempt.connector_id, Attempt.connector)
