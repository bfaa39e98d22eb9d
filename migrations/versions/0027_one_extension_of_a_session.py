"""Whether the shopper of a session has asked for more time"""

from alembic import op
import sqlalchemy as sa
import app.db

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.add_column("checkout_sessions", sa.Column("extended_at", app.db.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("checkout_sessions", "extended_at")
