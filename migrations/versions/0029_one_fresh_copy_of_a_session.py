"""Which session one is a fresh copy of, and logos"""

from alembic import op
import sqlalchemy as sa

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column("checkout_sessions", sa.Column("copied_from", sa.String(length=40), nullable=True))
    op.create_index(
        "uq_checkout_sessions_copied_from",
        "checkout_sessions",
        ["copied_from"],
        unique=True,
        sqlite_where=sa.text("copied_from IS NOT NULL"),
        postgresql_where=sa.text("copied_from IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_checkout_sessions_copied_from", table_name="checkout_sessions")
    op.drop_column("checkout_sessions", "copied_from")
