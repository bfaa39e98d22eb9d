"""One-time links into the team; what differed where an idempotency key was used again"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db

revision = "0024"
down_revision = "0023"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    table = "idempotency_records"
    op.add_column(table, sa.Column("mode", sa.String(length=4), nullable=True))
    op.add_column(table, sa.Column("caller", sa.String(length=64), nullable=True))
    op.add_column(table, sa.Column("shape", _JSON, nullable=True))
    op.add_column(table, sa.Column("clashes", sa.Integer(), nullable=True))
    op.add_column(table, sa.Column("clash", _JSON, nullable=True))
    op.create_index("ix_idempotency_records_tenant", table, ["tenant_id", "mode", "created_at", "scope_hash"])
    op.create_index("ix_idempotency_records_key", table, ["tenant_id", "key"])


def downgrade() -> None:
    table = "idempotency_records"
    op.drop_index("ix_idempotency_records_key", table)
    op.drop_index("ix_idempotency_records_tenant", table)
    for name in ("clash", "clashes", "shape", "caller", "mode"):
        op.drop_column(table, name)
    op.drop_table("invitations")
