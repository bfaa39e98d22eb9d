"""Sign-ins at the API, step-up challenges, listed sessions, keys that are rolled and have a maker"""

from alembic import op
import sqlalchemy as sa

import app.db

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("tokens_valid_after", app.db.UtcDateTime(timezone=True), nullable=True))
    for name in ("made_with", "replaced_by"):
        op.add_column("api_keys", sa.Column(name, sa.String(length=40), nullable=True))
    op.create_index("ix_api_keys_made_with", "api_keys", ["made_with"])
    op.execute("DELETE FROM web_sessions")  # they have no id; whoever was signed in signs in again
    with op.batch_alter_table("web_sessions") as batch:
        batch.add_column(sa.Column("id", sa.String(length=40), nullable=False))
        batch.add_column(sa.Column("address", sa.String(length=64), nullable=True))
        batch.add_column(sa.Column("agent", sa.String(length=80), nullable=False))
        batch.create_unique_constraint(op.f("uq_web_sessions_id"), ["id"])
    op.create_table(
        "token_families",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("agent", sa.String(length=80), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_token_families_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_families")),
    )
    op.create_index("ix_token_families_user_id", "token_families", ["user_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("family_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["family_id"],
            ["token_families.id"],
            name=op.f("fk_refresh_tokens_family_id_token_families"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index("ix_refresh_tokens_family_id", "refresh_tokens", ["family_id"])
    op.create_table(
        "mfa_challenges",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("answered_at", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mfa_challenges_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mfa_challenges")),
    )
    op.create_index("ix_mfa_challenges_expires_at", "mfa_challenges", ["expires_at"])


def downgrade() -> None:
    op.drop_table("mfa_challenges")
    op.drop_table("refresh_tokens")
    op.drop_table("token_families")
    with op.batch_alter_table("web_sessions") as batch:
        batch.drop_constraint(op.f("uq_web_sessions_id"), type_="unique")
        for name in ("agent", "address", "id"):
            batch.drop_column(name)
    op.drop_index("ix_api_keys_made_with", "api_keys")
    for name in ("replaced_by", "made_with"):
        op.drop_column("api_keys", name)
    op.drop_column("tenants", "tokens_valid_after")
