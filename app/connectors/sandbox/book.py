"""The sandbox's own book: the independent record that the invariants are checked against.

Its tables are never read by the payment code. No card number is in them: a token stands for brand, last
four digits, expiry and the behaviour that the number had. `account` is the merchant's connector that a
payment was made at, NULL without one: each has statements and payouts of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    text,
)
from sqlalchemy.engine import RowMapping

from app.db import UtcDateTime

#: A row of the book, as it was read or as it is about to be written.
Row = RowMapping | Mapping[str, Any]

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
    Column("account", String(40)),
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
    Column("settled_in", String(64)),
    Column("created_at", UtcDateTime(), nullable=False),
    UniqueConstraint("tenant_id", "key"),
    Index("ix_sandbox_operations_reference", "reference"),
    Index(
        "ix_sandbox_operations_unsettled",
        "tenant_id",
        "created_at",
        sqlite_where=text("settled_in IS NULL"),
        postgresql_where=text("settled_in IS NULL"),
    ),
)

batches = Table(
    "sandbox_batches",
    metadata,
    Column("tenant_id", String(40), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("account", String(40)),
    Column("reference", String(64), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("day", String(10)),
    Column("net", BigInteger, nullable=False),
    Column("settled_at", UtcDateTime(), nullable=False),
    Column("available_on", UtcDateTime(), nullable=False),
    Index("ix_sandbox_batches_settled", "tenant_id", "mode", "settled_at"),
)

statement_lines = Table(
    "sandbox_statement_lines",
    metadata,
    Column("tenant_id", String(40), primary_key=True),
    Column("mode", String(4), primary_key=True),
    Column("batch", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("type", String(12), nullable=False),
    Column("reference", String(64), nullable=False),
    Column("gross", BigInteger, nullable=False),
    Column("fee", BigInteger, nullable=False),
)

payouts = Table(
    "sandbox_payouts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant_id", String(40), nullable=False),
    Column("mode", String(4), nullable=False),
    Column("account", String(40)),
    Column("key", String(80), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("destination", String(128), nullable=False),
    Column("status", String(12), nullable=False),
    Column("code", String(40)),
    Column("turns_at", UtcDateTime()),
    Column("created_at", UtcDateTime(), nullable=False),
    UniqueConstraint("tenant_id", "key"),
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
    Column("taken_at", UtcDateTime()),
    Column("taken_in", String(64)),
    Column("returned_at", UtcDateTime()),
    Column("returned_in", String(64)),
    Index("ix_sandbox_disputes_payment", "payment_reference"),
    Index("ix_sandbox_disputes_tenant", "tenant_id", "mode", "taken_at"),
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
