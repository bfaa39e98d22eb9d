"""Deliveries in flight are counted by endpoint; a merchant's are listed by outcome"""

from alembic import op
import sqlalchemy as sa

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    leased = sa.text("lease_until IS NOT NULL")
    op.create_index(
        "ix_deliveries_in_flight",
        "deliveries",
        ["endpoint_id", "lease_until"],
        sqlite_where=leased,
        postgresql_where=leased,
    )
    op.create_index("ix_deliveries_listed", "deliveries", ["tenant_id", "mode", "id"])
    op.create_index("ix_deliveries_outcome", "deliveries", ["tenant_id", "mode", "status", "id"])


def downgrade() -> None:
    op.drop_index("ix_deliveries_outcome", "deliveries")
    op.drop_index("ix_deliveries_listed", "deliveries")
    op.drop_index("ix_deliveries_in_flight", "deliveries")
