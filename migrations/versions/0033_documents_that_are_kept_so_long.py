"""When a document was deleted since its time was over"""

from alembic import op
import sqlalchemy as sa

revision = "0033"
down_revision = "0032"

_GONE = sa.text("deleted_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("uploads", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_uploads_deleted", "uploads", ["deleted_at"], sqlite_where=_GONE, postgresql_where=_GONE
    )


def downgrade() -> None:
    op.drop_index("ix_uploads_deleted", "uploads")
    op.drop_column("uploads", "deleted_at")
