"""Orders of people, and what a payment without a checkout is for"""

from alembic import op
import sqlalchemy as sa

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("orders", sa.Column("code_held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_orders_tenant", "orders", ["tenant_id", "mode", "number"])
    op.create_index("ix_orders_status", "orders", ["tenant_id", "mode", "status", "number"])
    op.create_index("ix_orders_user", "orders", ["tenant_id", "mode", "user_number", "number"])
    op.add_column("payment_intents", sa.Column("paid_for", sa.String(length=40), nullable=True))


def downgrade() -> None:
    op.drop_column("payment_intents", "paid_for")
    for name in ("ix_orders_user", "ix_orders_status", "ix_orders_tenant"):
        op.drop_index(name, "orders")
    op.drop_column("orders", "code_held")
