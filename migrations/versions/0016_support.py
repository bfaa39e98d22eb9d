"""Support: since when sessions have been failed, notes, shipment plans, discounts given by people"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import app.db

revision = "0016"
down_revision = "0015"

_JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
_FAILED = sa.text("failed_at IS NOT NULL")


def _owned(name: str, *columns: sa.Column) -> None:
    """A table of one checkout's rows."""
    op.create_table(
        name,
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("checkout_id", sa.String(length=40), nullable=False),
        *columns,
        sa.Column("created_at", app.db.UtcDateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkout_id"], ["checkout_sessions.id"], name=op.f(f"fk_{name}_checkout_id_checkout_sessions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
    )


def upgrade() -> None:
    _owned(
        "support_notes",
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
    )
    op.create_index("ix_support_notes_checkout", "support_notes", ["checkout_id", "id"])
    _owned(
        "shipment_plans",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("shipments", _JSON, nullable=False),
    )
    op.create_index(op.f("ix_shipment_plans_checkout_id"), "shipment_plans", ["checkout_id"])
    op.add_column("checkout_sessions", sa.Column("failed_at", app.db.UtcDateTime(timezone=True)))
    op.add_column("checkout_sessions", sa.Column("shipment_plan_id", sa.String(length=40)))
    op.add_column("checkout_sessions", sa.Column("support_discounts", _JSON))
    op.add_column("orders", sa.Column("shipment_plan_id", sa.String(length=40)))
    op.add_column("orders", sa.Column("shipments", _JSON))
    op.add_column("attempts", sa.Column("confirmed_by", sa.String(length=64)))
    op.execute("UPDATE checkout_sessions SET failed_at = updated_at WHERE status = 'failed'")
    for name, columns in (
        ("ix_checkout_sessions_failed", ["tenant_id", "mode", "failed_at", "id"]),
        ("ix_checkout_sessions_failed_why", ["tenant_id", "mode", "failure_reason", "failed_at", "id"]),
    ):
        op.create_index(
            name, "checkout_sessions", columns, sqlite_where=_FAILED, postgresql_where=_FAILED
        )
    op.create_index("ix_calculations_checkout", "calculations", ["checkout_id", "id"])
    op.drop_index("ix_calculations_checkout_id", "calculations")


def downgrade() -> None:
    op.create_index("ix_calculations_checkout_id", "calculations", ["checkout_id"])
    op.drop_index("ix_calculations_checkout", "calculations")
    for name in ("ix_checkout_sessions_failed_why", "ix_checkout_sessions_failed"):
        op.drop_index(name, "checkout_sessions")
    op.drop_column("attempts", "confirmed_by")
    for name in ("shipments", "shipment_plan_id"):
        op.drop_column("orders", name)
    for name in ("support_discounts", "shipment_plan_id", "failed_at"):
        op.drop_column("checkout_sessions", name)
    op.drop_table("shipment_plans")
    op.drop_table("support_notes")
