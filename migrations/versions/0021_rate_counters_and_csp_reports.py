"""Rate counters that machines share, and what browsers report of pages"""

import sqlalchemy as sa
from alembic import op

import app.db

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "rate_counters",
        sa.Column("bucket", sa.String(length=64), nullable=False),
        sa.Column("ends_at", sa.Float(precision=53), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_counters")),
    )
    op.create_index("ix_rate_counters_ends", "rate_counters", ["ends_at"])
    op.create_table(
        "csp_reports",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("route", sa.String(length=120), nullable=False),
        sa.Column("directive", sa.String(length=40), nullable=False),
        sa.Column("blocked", sa.String(length=120), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_csp_reports")),
        sa.UniqueConstraint(
            "day", "route", "directive", "blocked", name=op.f("uq_csp_reports_day_route_directive_blocked")
        ),
    )


def downgrade() -> None:
    op.drop_table("csp_reports")
    op.drop_index("ix_rate_counters_ends", "rate_counters")
    op.drop_table("rate_counters")
