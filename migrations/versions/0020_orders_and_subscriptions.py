"""Orders of people, subscriptions with their periods, and what a payment without a checkout is for"""

from alembic import op
import sqlalchemy as sa

from app.db import UtcDateTime
from app.models.base import Json

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("orders", sa.Column("code_held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_orders_tenant", "orders", ["tenant_id", "mode", "number"])
    op.create_index("ix_orders_status", "orders", ["tenant_id", "mode", "status", "number"])
    op.create_index("ix_orders_user", "orders", ["tenant_id", "mode", "user_number", "number"])
    op.add_column("payment_intents", sa.Column("paid_for", sa.String(length=40), nullable=True))
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("public_id", sa.String(length=36), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("checkout_id", sa.String(length=40), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("customer", Json, nullable=False),
        sa.Column("price_id", sa.String(length=36), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("interval", sa.String(length=10), nullable=False),
        sa.Column("interval_count", sa.Integer(), nullable=False),
        sa.Column("anchor_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=False),
        sa.Column("open_period_id", sa.String(length=40), nullable=True),
        sa.Column("current_period_start", UtcDateTime(timezone=True), nullable=False),
        sa.Column("current_period_end", UtcDateTime(timezone=True), nullable=False),
        sa.Column("payment_method_id", sa.String(length=40), nullable=False),
        sa.Column("cancel_at_period_end", sa.Boolean(), nullable=False),
        sa.Column("cancel_reason", sa.String(length=40), nullable=True),
        sa.Column("canceled_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("next_query_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("metadata", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_subscriptions_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_subscriptions_public_id")),
        sa.UniqueConstraint("checkout_id", name=op.f("uq_subscriptions_checkout_id")),
    )
    op.create_index("ix_subscriptions_tenant", "subscriptions", ["tenant_id", "mode", "id"])
    op.create_index("ix_subscriptions_status", "subscriptions", ["tenant_id", "mode", "status", "id"])
    op.create_index("ix_subscriptions_customer", "subscriptions", ["tenant_id", "mode", "customer_id", "id"])
    due = sa.text("next_query_at IS NOT NULL")
    op.create_index(
        "ix_subscriptions_due", "subscriptions", ["next_query_at"], sqlite_where=due, postgresql_where=due
    )
    op.create_table(
        "subscription_periods",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("subscription_id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("starts_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ends_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payment_intent_id", sa.String(length=40), nullable=True),
        sa.Column("checkout_id", sa.String(length=40), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(length=48), nullable=True),
        sa.Column("refused_method_id", sa.String(length=40), nullable=True),
        sa.Column("paid_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_subscription_periods_subscription_id_subscriptions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription_periods")),
        sa.UniqueConstraint(
            "subscription_id", "number", name=op.f("uq_subscription_periods_subscription_id_number")
        ),
    )


def downgrade() -> None:
    op.drop_table("subscription_periods")
    op.drop_table("subscriptions")
    op.drop_column("payment_intents", "paid_for")
    for name in ("ix_orders_user", "ix_orders_status", "ix_orders_tenant"):
        op.drop_index(name, "orders")
    op.drop_column("orders", "code_held")
