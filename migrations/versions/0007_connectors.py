"""Connectors, routing rules and connector logs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import app.db

revision = "0007"
down_revision = "0006"

_JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)


def _owned():
    return (
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
    )


def _timestamped():
    return (
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", app.db.UtcDateTime(timezone=True), nullable=False),
    )


def upgrade() -> None:
    op.create_table(
        "connectors",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("config", sa.String(), nullable=True),
        sa.Column("previous_config", sa.String(), nullable=True),
        sa.Column("previous_until", app.db.UtcDateTime(timezone=True), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("region", sa.String(length=40), nullable=True),
        sa.Column("status_reason", sa.String(length=64), nullable=True),
        sa.Column("last_test", _JSON, nullable=True),
        *_owned(),
        *_timestamped(),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_connectors_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connectors")),
    )
    op.create_index("ix_connectors_tenant", "connectors", ["tenant_id", "mode", "id"])
    op.create_table(
        "routing_rules",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("match", _JSON, nullable=False),
        sa.Column("connector_id", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        *_owned(),
        *_timestamped(),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connector_id"], ["connectors.id"], name=op.f("fk_routing_rules_connector_id_connectors")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_routing_rules")),
    )
    op.create_index("ix_routing_rules_tenant", "routing_rules", ["tenant_id", "mode", "id"])
    op.create_index("ix_routing_rules_connector", "routing_rules", ["connector_id"])
    op.create_table(
        "connector_logs",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("connector_id", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=24), nullable=False),
        sa.Column("outcome", sa.String(length=24), nullable=False),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=True),
        sa.Column("entity_id", sa.String(length=40), nullable=True),
        sa.Column("reference", sa.String(length=128), nullable=True),
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        *_owned(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connector_logs")),
    )
    op.create_index(
        "ix_connector_logs_connector", "connector_logs", ["tenant_id", "mode", "connector_id", "id"]
    )
    op.create_index("ix_connector_logs_created_at", "connector_logs", ["created_at"])
    op.add_column("attempts", sa.Column("connector_id", sa.String(length=40), nullable=True))
    op.add_column("attempts", sa.Column("country", sa.String(length=2), nullable=True))
    op.create_index("ix_attempts_connector", "attempts", ["tenant_id", "mode", "connector_id", "created_at"])
    op.add_column("payment_methods", sa.Column("connector_id", sa.String(length=40), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("payment_methods") as batch_op:
        batch_op.drop_column("connector_id")
    with op.batch_alter_table("attempts") as batch_op:
        batch_op.drop_index("ix_attempts_connector")
        batch_op.drop_column("country")
        batch_op.drop_column("connector_id")
    op.drop_table("connector_logs")
    op.drop_table("routing_rules")
    op.drop_table("connectors")
