"""Which session one is a fresh copy of, settings of test mode alone"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"


_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("test_settings", _JSON, nullable=True))
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
    op.drop_column("tenants", "test_settings")
