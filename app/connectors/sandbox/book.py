"""The sandbox's own book: the independent record that the invariants are checked against.

Its tables are never read by the payment code. No card number is in them: a token stands for brand, last
four digits, expiry and the behaviour that the number had.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from app.db import UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

tokens = Table(
    "sandbox_tokens",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("tenant_id", String(40), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("type", String(24), nullable=False),
    Column("brand", String(24)),
    Column("last4", String(4)),
    Column("exp_month", Integer),
    Column("exp_year", Integer),
    Column("country", String(2)),
    Column("fingerprint", String(64)),
    Column("prefix_hash", String(64)),
    Column("behaviour", String(32), nullable=False),
    Column("detail", String(40), nullable=False),
    Column("risk_score", Integer, nullable=False),
    Column("cvc_given", Boolean, nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
)

#: What browsers were given for a token of the vault.
client_tokens = Table(
    "sandbox_client_tokens",
    metadata,
    Column("client_token", String(64), primary_key=True),
    Column("token", String(64), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
)

#: Pairs of small deposits, by the caller's key.
deposits = Table(
    "sandbox_deposits",
    metadata,
    Column("tenant_id", String(40), primary_key=True),
    Column("key", String(80), primary_key=True),
    Column("token", String(64), nullable=False),
    Column("first", Integer, nullable=False),
    Column("second", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("status", String(12), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
)

payments = Table(
    "sandbox_payments",
    metadata,
    Column("reference", String(40), primary_key=True),
    Column("tenant_id", String(40), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("key", String(80), nullable=False),
    Column("token", String(64), nullable=False),
    Column("method_type", String(24), nullable=False),
    Column("behaviour", String(32), nullable=False),
    Column("detail", String(40), nullable=False),
    Column("last4", String(4)),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(20), nullable=False),
    Column("captured", BigInteger, nullable=False, default=0),
    Column("refunded", BigInteger, nullable=False, default=0),
    Column("decline_code", String(40)),
    Column("three_ds_result", String(24)),
    Column("risk_score", Integer, nullable=False),
    Column("cvc_given", Boolean, nullable=False),
    Column("challenge_id", String(64), unique=True),
    Column("challenge_kind", String(12)),
    Column("challenge_tries", Integer, nullable=False, default=0),
    Column("action_expires_at", UtcDateTime()),
    Column("return_url", Text, nullable=False),
    Column("webhook_url", Text, nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    UniqueConstraint("tenant_id", "key"),
)

operations = Table(
    "sandbox_operations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant_id", String(40), nullable=False),
    Column("key", String(80), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("reference", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(12), nullable=False),
    Column("code", String(40)),
    Column("turns_at", UtcDateTime()),
    Column("created_at", UtcDateTime(), nullable=False),
    UniqueConstraint("tenant_id", "key"),
    Index("ix_sandbox_operations_reference", "reference"),
)

disputes = Table(
    "sandbox_disputes",
    metadata,
    Column("reference", String(40), primary_key=True),
    Column("tenant_id", String(40), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("payment_reference", String(40), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("fee", BigInteger, nullable=False),
    Column("evidence_due_at", UtcDateTime()),
    Column("answered", Boolean, nullable=False),
    Column("decision", String(32)),
    Column("decides_at", UtcDateTime()),
    Column("received_at", UtcDateTime(), nullable=False),
    Index("ix_sandbox_disputes_payment", "payment_reference"),
)

webhooks = Table(
    "sandbox_webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event_id", String(40), nullable=False),
    Column("tenant_id", String(40), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("due_at", UtcDateTime(), nullable=False),
    Column("sent_at", UtcDateTime()),
    Column("tries", Integer, nullable=False, default=0),
    Index("ix_sandbox_webhooks_due", "sent_at", "due_at"),
)
