"""Attempts know their way back and the call behind a capture; items of bulk jobs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import app.db

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("attempts") as table:
        table.add_column(sa.Column("return_url", sa.String()))
        table.add_column(sa.Column("operation_nonce", sa.String(length=80)))
        table.add_column(sa.Column("acquirer", sa.String(length=64)))
        table.add_column(sa.Column("settlement_date", sa.Date()))
    with op.batch_alter_table("refunds") as table:
        table.add_column(sa.Column("settlement_date", sa.Date()))
    op.create_table(
        "job_items",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("entity_id", sa.String(length=40), nullable=True),
        sa.Column(
            "error",
            sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql"),
            nullable=True,
        ),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_items_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_job_items")),
    )


def downgrade() -> None:
    op.drop_table("job_items")
    with op.batch_alter_table("refunds") as table:
        table.drop_column("settlement_date")
    with op.batch_alter_table("attempts") as table:
        for name in ("settlement_date", "acquirer", "operation_nonce", "return_url"):
            table.drop_column(name)
