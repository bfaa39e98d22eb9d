"""Indexes that every payment paid for: those that others include go, and no row is in one that has nothing of it"""

from alembic import op
import sqlalchemy as sa

revision = "0032"
down_revision = "0031"

#: Index, table, columns, and the column without which a row is not in it any more.
NARROWER = (
    ("ix_payment_intents_checkout", "payment_intents", ["checkout_id"], "checkout_id", False),
    ("uq_journal_chain", "journal", ["tenant_id", "sequence"], "sequence", True),
    ("ix_journal_checkout", "journal", ["tenant_id", "checkout_id", "id"], "checkout_id", False),
)
GONE = (
    ("ix_payment_intents_tenant", "payment_intents", ["tenant_id", "mode", "id"]),
    ("ix_payment_intents_status", "payment_intents", ["tenant_id", "mode", "status", "id"]),
    ("ix_attempts_intent_id", "attempts", ["intent_id"]),
)


def upgrade() -> None:
    for name, table, columns, needed, unique in NARROWER:
        there = sa.text(f"{needed} IS NOT NULL")
        op.drop_index(name, table)
        op.create_index(name, table, columns, unique=unique, sqlite_where=there, postgresql_where=there)
    for name, table, _ in GONE:
        op.drop_index(name, table)


def downgrade() -> None:
    for name, table, columns in GONE:
        op.create_index(name, table, columns)
    for name, table, columns, _, unique in NARROWER:
        op.drop_index(name, table)
        op.create_index(name, table, columns, unique=unique)
