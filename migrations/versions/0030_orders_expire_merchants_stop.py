"""Orders that nobody pays are cancelled, those of today in a week; merchants can be suspended"""

from datetime import UTC, datetime, timedelta

from alembic import op
import sqlalchemy as sa
import app.db

revision = "0030"
down_revision = "0029"

_UNPAID = sa.text("status = 'pending' AND expires_at IS NOT NULL")

_ONCE = sa.text("nonce IS NOT NULL")


def upgrade() -> None:
    op.add_column("orders", sa.Column("expires_at", app.db.UtcDateTime(timezone=True), nullable=True))
    orders = sa.table("orders", sa.column("status"), sa.column("expires_at", app.db.UtcDateTime(timezone=True)))
    until = datetime.now(UTC) + timedelta(days=7)
    op.execute(orders.update().where(orders.c.status == "pending").values(expires_at=until))
    op.create_index(
        "ix_orders_expiry", "orders", ["expires_at"], sqlite_where=_UNPAID, postgresql_where=_UNPAID
    )
    op.add_column("tenants", sa.Column("suspended_at", app.db.UtcDateTime(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("nonce", sa.String(64), nullable=True))
    op.create_index(
        "uq_refunds_nonce", "refunds", ["nonce"], unique=True, sqlite_where=_ONCE, postgresql_where=_ONCE
    )


def downgrade() -> None:
    op.drop_index("uq_refunds_nonce", table_name="refunds")
    op.drop_column("refunds", "nonce")
    op.drop_column("tenants", "suspended_at")
    op.drop_index("ix_orders_expiry", table_name="orders")
    op.drop_column("orders", "expires_at")
