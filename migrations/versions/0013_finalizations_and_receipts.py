"""Finalisations, receipts, counters of alerts; a cancelled order leaves room for another"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db

revision = "0013"
down_revision = "0012"

_JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
_OPEN_JOB = sa.text("status IN ('queued', 'leased', 'retry_wait')")
_LIVE = sa.text("status <> 'cancelled'")
_RECEIPT_DUE = sa.text("receipt_id IS NOT NULL AND receipt_issued_at IS NULL AND status <> 'cancelled'")
_VALID = sa.text("voided_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "finalizations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("checkout_id", sa.String(length=40), nullable=False),
        sa.Column("payment_intent_id", sa.String(length=40), nullable=True),
        sa.Column("create_order", sa.Boolean(), nullable=False),
        sa.Column("order_hint", _JSON, nullable=True),
        sa.Column("order_draft", _JSON, nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("receipt_id", sa.String(length=64), nullable=True),
        sa.Column("sold", sa.Boolean(), nullable=False),
        sa.Column("keeps_payment", sa.Boolean(), nullable=False),
        sa.Column("failure_reasons", _JSON, nullable=False),
        sa.Column("steps", _JSON, nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout_sessions.id"], name=op.f("fk_finalizations_checkout_id_checkout_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finalizations")),
    )
    op.create_index(op.f("ix_finalizations_checkout_id"), "finalizations", ["checkout_id"])
    op.create_table(
        "receipts",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("payment_intent_id", sa.String(length=40), nullable=True),
        sa.Column("order_id", sa.String(length=64), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("content", _JSON, nullable=False),
        sa.Column("issued_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("voided_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_receipts")),
        sa.UniqueConstraint("id", name=op.f("uq_receipts_id")),
        sa.UniqueConstraint("token", name=op.f("uq_receipts_token")),
    )
    op.create_index(
        "uq_receipts_live",
        "receipts",
        ["tenant_id", "mode", "source"],
        unique=True,
        sqlite_where=_VALID,
        postgresql_where=_VALID,
    )
    op.create_table(
        "alert_counters",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("last_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "mode", "name", name=op.f("pk_alert_counters")),
    )
    op.add_column("checkout_sessions", sa.Column("finalization_id", sa.String(length=40), nullable=True))
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps texts of any length
        for column in ("order_id", "receipt_id"):
            op.alter_column("checkout_sessions", column, type_=sa.String(length=64))
    with op.batch_alter_table("orders") as table:
        table.drop_constraint("uq_orders_checkout_id", type_="unique")
        table.add_column(sa.Column("hint", _JSON, nullable=True))
        table.add_column(sa.Column("receipt_issued_at", app.db.UtcDateTime(timezone=True), nullable=True))
    op.create_index(
        "uq_orders_live", "orders", ["checkout_id"], unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
    )
    op.create_index(
        "ix_orders_receipt_due", "orders", ["number"], sqlite_where=_RECEIPT_DUE, postgresql_where=_RECEIPT_DUE
    )
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["tenant_id", "mode", "name", "id"],
        sqlite_where=_OPEN_JOB,
        postgresql_where=_OPEN_JOB,
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_open", "jobs")
    op.drop_index("ix_orders_receipt_due", "orders")
    op.drop_index("uq_orders_live", "orders")
    with op.batch_alter_table("orders") as table:
        table.drop_column("receipt_issued_at")
        table.drop_column("hint")
        table.create_unique_constraint(op.f("uq_orders_checkout_id"), ["checkout_id"])
    op.drop_column("checkout_sessions", "finalization_id")
    op.drop_table("alert_counters")
    op.drop_table("receipts")
    op.drop_table("finalizations")
