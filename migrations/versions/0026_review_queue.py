"""The queues of manual reviews and identity checks at the dashboard"""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    for table in ("reviews", "kyc_requests"):
        op.create_index(f"ix_{table}_queue", table, ["tenant_id", "mode", "status", "id"])


def downgrade() -> None:
    for table in ("kyc_requests", "reviews"):
        op.drop_index(f"ix_{table}_queue", table_name=table)
