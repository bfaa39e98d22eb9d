"""Deliveries in flight are counted by endpoint"""

from alembic import op
import sqlalchemy as sa

revision = "0021"
down_revision = "0017"


def upgrade() -> None:
    leased = sa.text("lease_until IS NOT NULL")
    op.create_index(
        "ix_deliveries_in_flight",
        "deliveries",
        ["endpoint_id", "lease_until"],
        sqlite_where=leased,
        postgresql_where=leased,
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_in_flight", "deliveries")
