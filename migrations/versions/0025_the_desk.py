"""Gift cards that are blocked, and indexes of the dashboard's lists: refunds by status, disputes by due date"""

from alembic import op
import sqlalchemy as sa

from app.db import UtcDateTime

revision = "0025"
down_revision = "0024"

_WAITING = sa.text("status IN ('warning', 'needs_response')")


def upgrade() -> None:
    op.add_column("gift_cards", sa.Column("blocked_at", UtcDateTime(timezone=True), nullable=True))
    op.create_index("ix_gift_cards_tenant", "gift_cards", ["tenant_id", "mode", "id"])
    op.create_index("ix_refunds_status", "refunds", ["tenant_id", "mode", "status", "id"])
    op.create_index(
        "ix_disputes_waiting",
        "disputes",
        ["tenant_id", "mode", "evidence_due_at", "id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )


def downgrade() -> None:
    op.drop_index("ix_disputes_waiting", table_name="disputes")
    op.drop_index("ix_refunds_status", table_name="refunds")
    op.drop_index("ix_gift_cards_tenant", table_name="gift_cards")
    op.drop_column("gift_cards", "blocked_at")
