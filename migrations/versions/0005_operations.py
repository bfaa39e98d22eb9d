"""Operations: exports, a merchant's own roles, examinations, versions of settings, indexes by time"""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

import app.db

revision = "0005"
down_revision = "0004"

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_OPEN = sa.text("status IN ('pending', 'processing', 'requires_action')")
_PEOPLE = sa.text("actor_kind = 'user'")
_EXPIRING = sa.text("expires_at IS NOT NULL")
_BY_TIME = ("payment_intents", "attempts", "refunds")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("settings_version", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "roles",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("permissions", _JSON, nullable=False),
        sa.Column("created_by", sa.String(40), nullable=True),
        sa.Column("created_at", app.db.UtcDateTime(), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_roles_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_roles_tenant_id_name")),
    )
    op.create_table(
        "exports",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("mode", sa.String(4), nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("dataset", sa.String(24), nullable=False),
        sa.Column("format", sa.String(12), nullable=False),
        sa.Column("filters", _JSON, nullable=False),
        sa.Column("since", app.db.UtcDateTime(), nullable=True),
        sa.Column("until", app.db.UtcDateTime(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(40), nullable=True),
        sa.Column("rows_written", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("finished_at", app.db.UtcDateTime(), nullable=True),
        sa.Column("expires_at", app.db.UtcDateTime(), nullable=True),
        sa.Column("created_at", app.db.UtcDateTime(), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_exports_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
        sa.UniqueConstraint("job_id", name=op.f("uq_exports_job_id")),
    )
    op.create_index("ix_exports_tenant", "exports", ["tenant_id", "mode", "id"])
    op.create_index(
        "ix_exports_expiry", "exports", ["expires_at"], sqlite_where=_EXPIRING, postgresql_where=_EXPIRING
    )
    op.create_table(
        "examinations",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("started_at", app.db.UtcDateTime(), nullable=False),
        sa.Column("finished_at", app.db.UtcDateTime(), nullable=False),
        sa.Column("tables", sa.BigInteger(), nullable=False),
        sa.Column("cells", sa.BigInteger(), nullable=False),
        sa.Column("findings", _JSON, nullable=False),
        sa.Column("keys", _JSON, nullable=False),
        sa.Column("chains", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_examinations")),
    )
    op.create_index("ix_examinations_finished_at", "examinations", ["finished_at"])
    for table in _BY_TIME:
        op.create_index(f"ix_{table}_time", table, ["tenant_id", "mode", "created_at", "id"])
    op.create_index("ix_ledger_transactions_time", "ledger_transactions", ["tenant_id", "mode", "posted_at", "id"])
    op.create_index(
        "ix_refunds_open",
        "refunds",
        ["tenant_id", "mode", "created_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.drop_index("ix_journal_type", "journal")
    op.create_index("ix_journal_type", "journal", ["tenant_id", "mode", "type", "created_at", "id"])
    op.create_index("ix_journal_time", "journal", ["tenant_id", "mode", "created_at", "id"])
    op.create_index(
        "ix_journal_people",
        "journal",
        ["tenant_id", "mode", "actor_id", "created_at", "id"],
        sqlite_where=_PEOPLE,
        postgresql_where=_PEOPLE,
    )


def downgrade() -> None:
    op.drop_index("ix_journal_people", "journal")
    op.drop_index("ix_journal_time", "journal")
    op.drop_index("ix_journal_type", "journal")
    op.create_index("ix_journal_type", "journal", ["tenant_id", "mode", "type", "id"])
    op.drop_index("ix_refunds_open", "refunds")
    op.drop_index("ix_ledger_transactions_time", "ledger_transactions")
    for table in _BY_TIME:
        op.drop_index(f"ix_{table}_time", table)
    op.drop_table("examinations")
    op.drop_table("exports")
    op.drop_table("roles")
    op.drop_column("tenants", "settings_version")
