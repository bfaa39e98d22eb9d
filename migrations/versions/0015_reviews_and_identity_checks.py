"""Manual reviews and identity checks of checkouts; what a session shows of them and of its fraud decision"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db

revision = "0015"
down_revision = "0014"

JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
SESSION = ("fraud", "kyc", "review")


def _stateful() -> tuple[sa.Column, ...]:
    return (
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("checkout_id", sa.String(40), nullable=False),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("decided_at", app.db.UtcDateTime(timezone=True), nullable=True),
    )


def _ended(table: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout_sessions.id"], name=op.f(f"fk_{table}_checkout_id_checkout_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _indexes(table: str, unique: str, condition: str) -> None:
    op.create_index(f"ix_{table}_checkout", table, ["checkout_id", "id"])
    op.create_index(
        unique,
        table,
        ["checkout_id"],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )


def upgrade() -> None:
    for name in SESSION:
        op.add_column("checkout_sessions", sa.Column(name, JSON, nullable=True))
    with op.batch_alter_table("fraud_decisions") as batch:
        batch.alter_column("intent_id", existing_type=sa.String(40), nullable=True)
        batch.add_column(sa.Column("checkout_id", sa.String(40), nullable=True))
    op.create_table(
        "reviews",
        sa.Column("id", sa.String(40), nullable=False),
        *_stateful(),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("assignee_id", sa.String(40), nullable=True),
        sa.Column("assigned_by", sa.String(64), nullable=True),
        sa.Column("assignment_note", sa.String(2000), nullable=True),
        sa.Column("decision_note", sa.String(2000), nullable=True),
        *_ended("reviews"),
    )
    _indexes("reviews", "uq_reviews_pending", "status = 'pending'")
    op.create_table(
        "kyc_requests",
        sa.Column("id", sa.String(40), nullable=False),
        *_stateful(),
        sa.Column("provider", sa.String(24), nullable=False),
        sa.Column("provider_reference", sa.String(128), nullable=True),
        sa.Column("provider_url", sa.String(), nullable=True),
        sa.Column("documents", sa.Integer(), nullable=False),
        *_ended("kyc_requests"),
    )
    _indexes("kyc_requests", "uq_kyc_requests_open", "status IN ('pending', 'submitted')")
    op.add_column("uploads", sa.Column("kyc_id", sa.String(40), nullable=True))
    op.create_index(op.f("ix_uploads_kyc_id"), "uploads", ["kyc_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_uploads_kyc_id"), "uploads")
    op.drop_column("uploads", "kyc_id")
    op.drop_table("kyc_requests")
    op.drop_table("reviews")
    op.execute("DELETE FROM fraud_decisions WHERE intent_id IS NULL")
    with op.batch_alter_table("fraud_decisions") as batch:
        batch.drop_column("checkout_id")
        batch.alter_column("intent_id", existing_type=sa.String(40), nullable=False)
    for name in SESSION:
        op.drop_column("checkout_sessions", name)
